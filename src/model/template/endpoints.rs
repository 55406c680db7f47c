//! Where each template's servers are.

use super::TemplateKind;
use crate::model::provider::{Cloud, Endpoints};

/// The tenant of Microsoft's personal accounts (Outlook.com, Hotmail).
pub const CONSUMERS_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// The hosts of one Microsoft cloud.
pub(super) struct MicrosoftCloud {
    /// Sign-in.
    pub authority: &'static str,
    /// Graph.
    pub graph: &'static str,
}

pub(super) const fn microsoft_cloud(cloud: Cloud) -> MicrosoftCloud {
    match cloud {
        Cloud::Global => MicrosoftCloud {
            authority: "https://login.microsoftonline.com",
            graph: "https://graph.microsoft.com",
        },
        Cloud::UsGov => MicrosoftCloud {
            authority: "https://login.microsoftonline.us",
            graph: "https://graph.microsoft.us",
        },
        Cloud::Dod => MicrosoftCloud {
            authority: "https://login.microsoftonline.us",
            graph: "https://dod-graph.microsoft.us",
        },
        Cloud::China => MicrosoftCloud {
            authority: "https://login.partner.microsoftonline.cn",
            graph: "https://microsoftgraph.chinacloudapi.cn",
        },
    }
}

/// The template's endpoints for a cloud and tenant; `authority` replaces the host where the template has one (Microsoft, Zoho).
///
/// Microsoft's issuer holds the directory id. Where the tenant is a domain or `common`, the id is known only from the answer, and
/// the issuer is the pattern Microsoft publishes itself, with `{tenantid}` in that place.
pub fn endpoints(kind: TemplateKind, cloud: Cloud, tenant: Option<&str>, authority: Option<&str>) -> Endpoints {
    let authority = authority.map(|a| a.trim().trim_end_matches('/')).filter(|a| !a.is_empty());
    let some = |text: &str| Some(text.to_owned());
    match kind {
        TemplateKind::Microsoft => microsoft(cloud, tenant, authority),
        TemplateKind::Google => Endpoints {
            issuer: some("https://accounts.google.com"),
            authorize_url: some("https://accounts.google.com/o/oauth2/v2/auth"),
            token_url: some("https://oauth2.googleapis.com/token"),
            device_authorization_url: some("https://oauth2.googleapis.com/device/code"),
            revocation_url: some("https://oauth2.googleapis.com/revoke"),
            userinfo_url: some("https://openidconnect.googleapis.com/v1/userinfo"),
            ..Endpoints::default()
        },
        TemplateKind::Yahoo => Endpoints {
            issuer: some("https://api.login.yahoo.com"),
            authorize_url: some("https://api.login.yahoo.com/oauth2/request_auth"),
            token_url: some("https://api.login.yahoo.com/oauth2/get_token"),
            revocation_url: some("https://api.login.yahoo.com/oauth2/revoke"),
            userinfo_url: some("https://api.login.yahoo.com/openid/v1/userinfo"),
            ..Endpoints::default()
        },
        TemplateKind::Zoho => {
            let base = authority.unwrap_or("https://accounts.zoho.com");
            Endpoints {
                authority: some(base),
                issuer: some(base),
                authorize_url: Some(format!("{base}/oauth/v2/auth")),
                token_url: Some(format!("{base}/oauth/v2/token")),
                device_authorization_url: Some(format!("{base}/oauth/v3/device/code")),
                revocation_url: Some(format!("{base}/oauth/v2/token/revoke")),
                userinfo_url: Some(format!("{base}/oauth/v2/userinfo")),
                ..Endpoints::default()
            }
        }
        TemplateKind::Fastmail => Endpoints {
            issuer: some("https://api.fastmail.com"),
            authorize_url: some("https://api.fastmail.com/oauth/authorize"),
            // The name misleads: codes are exchanged here too.
            token_url: some("https://api.fastmail.com/oauth/refresh"),
            revocation_url: some("https://api.fastmail.com/oauth/revoke"),
            iss_announced: true,
            ..Endpoints::default()
        },
        TemplateKind::Custom => Endpoints::default(),
    }
}

fn microsoft(cloud: Cloud, tenant: Option<&str>, authority: Option<&str>) -> Endpoints {
    let hosts = microsoft_cloud(cloud);
    let base = authority.unwrap_or(hosts.authority);
    let tenant = tenant.map(str::trim).filter(|t| !t.is_empty()).unwrap_or("organizations");
    let issuer_tenant = if tenant.eq_ignore_ascii_case("consumers") {
        CONSUMERS_TENANT.to_owned()
    } else if crate::model::lint::is_guid(tenant) {
        tenant.to_ascii_lowercase()
    } else {
        "{tenantid}".to_owned()
    };
    Endpoints {
        authority: Some(base.to_owned()),
        graph_url: Some(hosts.graph.to_owned()),
        issuer: Some(format!("{base}/{issuer_tenant}/v2.0")),
        authorize_url: Some(format!("{base}/{tenant}/oauth2/v2.0/authorize")),
        token_url: Some(format!("{base}/{tenant}/oauth2/v2.0/token")),
        device_authorization_url: Some(format!("{base}/{tenant}/oauth2/v2.0/devicecode")),
        admin_consent_url: Some(format!("{base}/{tenant}/v2.0/adminconsent")),
        // No revocation endpoint exists. Userinfo is part of Graph and doesn't take tokens made for Outlook.
        ..Endpoints::default()
    }
}

/// Whether the token endpoint is one of the template's own hosts. Checks of the shape of ids and secrets make sense only then: a
/// provider that is aimed at a stand-in has ids of its own.
pub fn at_home(kind: TemplateKind, token_url: Option<&str>) -> bool {
    let host = token_url
        .and_then(|text| url::Url::parse(text).ok())
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default();
    let is = |names: &[&str]| names.contains(&host.as_str());
    match kind {
        TemplateKind::Microsoft => is(&[
            "login.microsoftonline.com",
            "login.microsoftonline.us",
            "login.partner.microsoftonline.cn",
            "login.windows.net",
            "sts.windows.net",
        ]),
        TemplateKind::Google => is(&["oauth2.googleapis.com", "accounts.google.com", "www.googleapis.com"]),
        TemplateKind::Yahoo => is(&["api.login.yahoo.com", "api.login.aol.com"]),
        TemplateKind::Zoho => super::ZOHO_DATA_CENTRES
            .iter()
            .any(|(_, base, _)| *base == format!("https://{host}")),
        TemplateKind::Fastmail => is(&["api.fastmail.com"]),
        TemplateKind::Custom => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_url(e: &Endpoints) -> &str {
        e.token_url.as_deref().unwrap_or_default()
    }

    #[test]
    fn microsofts_clouds_have_their_own_hosts_and_the_tenant_in_the_path() {
        let tenant = Some("Contoso.onmicrosoft.com");
        for (cloud, host, graph) in [
            (Cloud::Global, "login.microsoftonline.com", "https://graph.microsoft.com"),
            (Cloud::UsGov, "login.microsoftonline.us", "https://graph.microsoft.us"),
            (Cloud::Dod, "login.microsoftonline.us", "https://dod-graph.microsoft.us"),
            (
                Cloud::China,
                "login.partner.microsoftonline.cn",
                "https://microsoftgraph.chinacloudapi.cn",
            ),
        ] {
            let e = endpoints(TemplateKind::Microsoft, cloud, tenant, None);
            assert_eq!(token_url(&e), format!("https://{host}/Contoso.onmicrosoft.com/oauth2/v2.0/token"));
            assert_eq!(e.graph_url.as_deref(), Some(graph));
            assert_eq!(e.issuer.as_deref(), Some(&*format!("https://{host}/{{tenantid}}/v2.0")));
            assert_eq!(e.revocation_url, None, "Microsoft has no such call");
        }
        let e = endpoints(TemplateKind::Microsoft, Cloud::Global, tenant, Some("http://127.0.0.1:4444/"));
        assert_eq!(
            e.authorize_url.as_deref(),
            Some("http://127.0.0.1:4444/Contoso.onmicrosoft.com/oauth2/v2.0/authorize")
        );
        assert!(!at_home(TemplateKind::Microsoft, e.token_url.as_deref()));
    }

    #[test]
    fn the_issuer_is_exact_where_the_directory_id_is_known() {
        let issuer = |tenant| {
            endpoints(TemplateKind::Microsoft, Cloud::Global, Some(tenant), None)
                .issuer
                .unwrap_or_default()
        };
        assert_eq!(
            issuer("2F4A9838-26B7-47EE-BE60-CCC1FDEC5953"),
            "https://login.microsoftonline.com/2f4a9838-26b7-47ee-be60-ccc1fdec5953/v2.0"
        );
        assert_eq!(
            issuer("consumers"),
            format!("https://login.microsoftonline.com/{CONSUMERS_TENANT}/v2.0")
        );
        assert_eq!(issuer("common"), "https://login.microsoftonline.com/{tenantid}/v2.0");
    }

    #[test]
    fn zohos_authority_is_the_data_centre() {
        let e = endpoints(TemplateKind::Zoho, Cloud::Global, None, Some("https://accounts.zoho.eu"));
        assert_eq!(token_url(&e), "https://accounts.zoho.eu/oauth/v2/token");
        assert!(at_home(TemplateKind::Zoho, e.token_url.as_deref()));
    }

    #[test]
    fn every_template_but_custom_knows_its_own_endpoints() {
        for kind in TemplateKind::ALL {
            let e = endpoints(*kind, Cloud::Global, Some("contoso.com"), None);
            let complete = e.authorize_url.is_some() && e.token_url.is_some() && e.issuer.is_some();
            assert_eq!(complete, *kind != TemplateKind::Custom, "{kind}");
            assert_eq!(at_home(*kind, e.token_url.as_deref()), complete, "{kind}");
        }
    }
}
