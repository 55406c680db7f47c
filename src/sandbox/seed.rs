//! Who and what is there at the start.

use super::mailboxes::Folder;
use super::state::{AppClient, House, Person, World};
use crate::clock::Timestamp;

/// Id and secret of the app registered with the Microsoft-like house.
pub const MICROSOFT_APP: (&str, &str) = ("11112222-bbbb-4333-8ccc-4444dddd5555", "sandbox~microsoft.secret-0123456789ab");
/// Id and secret of the app registered with the Google-like house.
pub const GOOGLE_APP: (&str, &str) = (
    "123456789012-sandbox0123456789abcdef.apps.googleusercontent.com",
    "GOCSPX-sandbox-0123456789abcdef",
);
/// Id and secret of the app registered with the OpenID provider.
pub const OPEN_APP: (&str, &str) = ("mail-console", "sandbox-open-secret-0123456789");
/// What the app is called on consent pages.
const APP_NAME: &str = "Mail Console";

/// People, apps and messages.
pub(super) fn world(now: Timestamp) -> World {
    let mut world = World::default();
    let support = "support@contoso.test";
    for person in [
        Person::new(House::Microsoft, support, "Contoso Support"),
        Person::new(House::Microsoft, "sales@contoso.test", "Contoso Sales"),
        Person {
            delegates: vec![support.to_owned()],
            is_shared: true,
            apps: vec![MICROSOFT_APP.0.to_owned()],
            ..Person::new(House::Microsoft, "info@contoso.test", "Contoso Info")
        },
        Person {
            apps: vec![MICROSOFT_APP.0.to_owned()],
            ..Person::new(House::Microsoft, "orders@contoso.test", "Contoso Orders")
        },
        // Nobody but its owner may open this one: what a proof of least privilege asks for.
        Person::new(House::Microsoft, "ceo@contoso.test", "Chief Executive"),
        Person {
            is_admin: true,
            ..Person::new(House::Microsoft, "admin@contoso.test", "Ada Admin")
        },
        Person::new(House::Google, "help@fabrikam.test", "Fabrikam Help"),
        Person::new(House::Google, "billing@fabrikam.test", "Fabrikam Billing"),
        Person::new(House::Open, "post@tailspin.test", "Tailspin Post"),
        Person::new(House::Open, "hello@tailspin.test", "Tailspin Hello"),
    ] {
        world.mail.create(&person.address);
        fill(&mut world, &person, now);
        world.people.push(person);
    }
    for (house, (id, secret)) in [
        (House::Microsoft, MICROSOFT_APP),
        (House::Google, GOOGLE_APP),
        (House::Open, OPEN_APP),
    ] {
        let mut client = AppClient::new(house, id, APP_NAME, secret);
        if house == House::Microsoft {
            client.is_public = true;
            client.roles = [
                "IMAP.AccessAsApp",
                "POP.AccessAsApp",
                "SMTP.SendAsApp",
                "Mail.ReadWrite",
                "Mail.Send",
            ]
            .map(str::to_owned)
            .to_vec();
        }
        world.clients.push(client);
    }
    world
}

/// A few days of mail.
fn fill(world: &mut World, person: &Person, now: Timestamp) {
    const INBOX: [(&str, &str, &str, i64, bool); 7] = [
        (
            "Maija Korhonen",
            "maija@northwind.test",
            "Order 4711: where is my parcel?",
            40,
            false,
        ),
        ("Northwind Invoices", "invoices@northwind.test", "Invoice 2026-1107", 95, false),
        ("Ossi Lahti", "ossi@adventure.test", "Re: Maintenance on Sunday", 260, false),
        ("Vera Salo", "vera@adventure.test", "Photos of the damage", 1500, true),
        ("Adventure Works", "noreply@adventure.test", "Your weekly summary", 2900, true),
        ("Aino Virtanen", "aino@northwind.test", "Question about the contract", 4300, true),
        ("Northwind", "hello@northwind.test", "Thank you for your visit", 7100, true),
    ];
    const JUNK: [(&str, &str, &str, i64, bool); 3] = [
        ("Prize Office", "winner@lottery.example", "You have won!", 130, false),
        ("Cheap Watches", "offer@watches.example", "Last chance for 90 % off", 800, false),
        ("Bank Security", "alert@bank.example", "Your account is locked", 5000, true),
    ];
    for (folder, messages) in [(Folder::Inbox, &INBOX[..]), (Folder::Junk, &JUNK[..])] {
        for (name, from, subject, minutes, seen) in messages.iter().rev() {
            let received = now.plus(-minutes * 60);
            let attachment = if subject.starts_with("Photos") { 31_000_000 } else { 0 };
            let raw = compose((name, from), &person.address, subject, received, attachment > 0);
            world.mail.put(&person.address, folder, raw.as_bytes(), attachment, *seen, received);
        }
    }
}

fn compose((name, from): (&str, &str), to: &str, subject: &str, date: Timestamp, with_attachment: bool) -> String {
    let id = format!("{}.{}@{}", date.0, to.len(), from.split('@').nth(1).unwrap_or("sandbox.test"));
    let kind = if with_attachment {
        "Content-Type: image/png; name=\"photos.png\"\r\nContent-Transfer-Encoding: base64\r\n"
    } else {
        "Content-Type: text/plain; charset=utf-8\r\n"
    };
    let body = if with_attachment {
        ""
    } else {
        "Good day,\r\n\r\nthis message is part of the sandbox.\r\n"
    };
    format!(
        "Return-Path: <{from}>\r\nReceived: from mx.sandbox.test by mail.sandbox.test; {date}\r\n\
         Authentication-Results: mail.sandbox.test; spf=pass smtp.mailfrom={from}; dkim=pass; dmarc=pass\r\n\
         From: {name} <{from}>\r\nTo: {to}\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{id}>\r\nMIME-Version: 1.0\r\n{kind}\r\n{body}",
        date = rfc2822(date)
    )
}

/// `Sat, 21 Nov 2026 08:14:02 +0000`.
pub(super) fn rfc2822(at: Timestamp) -> String {
    use time::format_description::well_known::Rfc2822;
    let moment = time::OffsetDateTime::from_unix_timestamp(at.0).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    moment.format(&Rfc2822).unwrap_or_default()
}
