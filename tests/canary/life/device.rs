//! A sign-in at another device.

use super::super::console::until;
use super::{Lie, Life, SUPPORT};

impl Life<'_> {
    /// A sign-in at another device, asked about in vain, by somebody else, and by the right account.
    pub(super) async fn device(&mut self) {
        let text = format!("[[token]]\nname = \"phone\"\nprovider = \"rig\"\ngrant = \"device_code\"\nuser = \"{SUPPORT}\"\n");
        assert_eq!(self.console.command(&["config", "apply", "-"], &text).status, 0);
        self.provider.lies(&[Lie::Echoes]);
        let page = self.admin.submit("/tokens/phone/authorize", &[]).await;
        assert!(!page.has("#code"), "{}", page.words());
        for (lies, account, verdict) in [
            (&[Lie::Echoes][..], "else@contoso.test", "Nobody has signed in yet"),
            (&[], SUPPORT, "Works"),
        ] {
            self.provider.lies(&[]);
            let page = self.admin.submit("/tokens/phone/authorize", &[]).await;
            let code = page.text("#code");
            assert!(!code.is_empty(), "{}", page.words());
            self.provider.lies(lies);
            let asked = format!("canary-device-{code}");
            until("it was asked about", || {
                self.provider.heard().iter().any(|body| body.contains(&asked))
            })
            .await;
            self.console.browser("viewer").get("/tokens/phone").await;
            self.console.look_at_files("while somebody is expected at another device");
            self.provider.lies(&[]);
            self.provider.decide(&code, account);
            let log = || self.console.command(&["token", "show", "phone", "--json"], "").out;
            until("it is over", || !log().contains("\"authorizing\"")).await;
            let page = self.admin.get("/tokens/phone").await;
            assert_eq!(page.text("section[aria-label=State] h2"), verdict, "{}", page.words());
        }
    }
}
