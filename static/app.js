// What pages do beyond links and forms: copy and show buttons, the end of the session, leaving a changed form, live results.
// Everything works without it. No text from anywhere is ever evaluated.
(() => {
  "use strict";
  const all = (css, root = document) => [...root.querySelectorAll(css)];
  const quiet = { headers: { "x-refresh": "1", accept: "text/html" }, credentials: "same-origin" };

  // Copy: the button appears only where copying works.
  const wire = (root) => {
    all("[data-copy]", root).forEach((button) => {
      const source = document.getElementById(button.dataset.copy);
      const words = button.querySelector("span");
      if (!source || !words || !navigator.clipboard) return;
      button.hidden = false;
      const usual = words.textContent;
      button.onclick = async () => {
        await navigator.clipboard.writeText(source.value || source.textContent.trim());
        words.textContent = "Copied";
        words.setAttribute("role", "status");
        setTimeout(() => {
          words.textContent = usual;
          words.removeAttribute("role");
        }, 2000);
      };
    });
    // The same for a text that is written down when somebody takes it: the form says which one.
    all("[data-copy-form]", root).forEach((button) => {
      const words = button.querySelector("span");
      if (!words || !navigator.clipboard) return;
      button.hidden = false;
      const usual = words.textContent;
      button.onclick = async () => {
        const wish = new URLSearchParams([...new FormData(button.form)]);
        wish.set("act", "copy");
        const response = await fetch(button.form.getAttribute("action"), { method: "POST", body: wish, credentials: "same-origin" }).catch(() => null);
        const taken = response?.ok && !response.redirected;
        if (taken) await navigator.clipboard.writeText(await response.text());
        words.textContent = taken ? "Copied" : "Not copied";
        words.setAttribute("role", "status");
        setTimeout(() => {
          words.textContent = usual;
          words.removeAttribute("role");
        }, 2000);
      };
    });
    // Tells the console that a script watches: it need not wait for the end of a test before it answers.
    all("input[data-script]", root).forEach((field) => { field.value = "1"; });
    all("[data-show]", root).forEach((button) => {
      const field = document.getElementById(button.dataset.show);
      if (!field) return;
      button.hidden = false;
      button.onclick = () => {
        const shown = field.type === "password";
        field.type = shown ? "text" : "password";
        button.setAttribute("aria-pressed", String(shown));
        button.firstChild.textContent = shown ? "Hide" : "Show";
      };
      // A shown password is a password again when it is sent, so that browsers do not keep it as text.
      field.form?.addEventListener("submit", () => { field.type = "password"; });
    });
  };
  wire(document);
  document.querySelector("[data-focus]")?.focus();

  // Where this browser's clock differs from the console's by minutes, a line above the checks says so.
  const clock = document.querySelector("[data-clock]");
  const ahead = clock ? Math.trunc(Date.now() / 1000) - Number(clock.dataset.clock) : 0;
  const apart = Math.abs(ahead);
  if (apart >= 120) {
    const [size, unit] = apart < 7200 ? [60, "minutes"] : apart < 172800 ? [3600, "hours"] : [86400, "days"];
    clock.textContent = `This browser’s clock is ${Math.floor(apart / size)} ${unit} ${ahead > 0 ? "ahead" : "behind"}.`;
    clock.hidden = false;
  }

  // A new provider's redirect address ends with its name.
  document.querySelector('form[action="/providers/new"]')?.addEventListener("input", ({ target }) => {
    if (target.name !== "name") return;
    ["redirect", "consent_return"].map((id) => document.getElementById(id)).forEach((address) => {
      if (!address) return;
      const beginning = address.textContent.slice(0, address.textContent.lastIndexOf("/") + 1);
      address.textContent = beginning + (target.value.trim() || "NAME");
    });
  });

  // Another card of a new provider: the form below changes at once. What was typed stays, and secrets don't leave the page for it.
  const picker = document.querySelector('form[action="/providers/new"] .pick');
  const instead = picker?.closest("section").querySelector('button[value="template"]');
  if (instead) instead.hidden = true;
  let picked = 0;
  picker?.addEventListener("change", async () => {
    const form = picker.closest("form");
    const turn = (picked += 1);
    const part = (page) => page.querySelector(".cols.wide-aside");
    const secrets = 'input[type=password], [name="service_account"], [name="client_json"]';
    const typed = new URLSearchParams();
    [...new FormData(form)].forEach(([name, value]) => {
      if (typeof value === "string" && !all(secrets, form).some((field) => field.name === name)) typed.append(name, value);
    });
    typed.set("act", "template");
    const response = await fetch(form.getAttribute("action"), { method: "POST", body: typed, credentials: "same-origin" }).catch(() => null);
    if (turn !== picked) return;
    // Where that failed the button does it.
    if (instead) instead.hidden = Boolean(response?.ok) && !response.redirected;
    if (!response?.ok || response.redirected) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const [old, block] = [part(document), part(fresh)];
    if (!old || !block) return;
    all(secrets, old).forEach((field) => {
      const same = field.id && block.querySelector(`#${field.id}`);
      if (same && !same.value) same.value = field.value;
    });
    form.enctype = fresh.querySelector('form[action="/providers/new"]').enctype;
    old.replaceWith(document.importNode(block, true));
    wire(part(document));
    document.getElementById("picked").textContent = document.getElementById("fh").textContent;
  });

  // Leaving a changed form: the browser's own question.
  let changed = false;
  all("form[data-guard]").forEach((form) => {
    form.addEventListener("input", () => { changed = true; });
    form.addEventListener("submit", () => { changed = false; });
  });
  addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });

  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => { delete form.dataset.sent; }, 4000);
  });
  addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => { delete form.dataset.sent; }));

  // "/" goes to the search field when nothing else has the keyboard.
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = document.activeElement;
    if (at && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName))) return;
    const field = document.querySelector("input[type=search]");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  });

  // Two minutes before the session ends a line says so.
  const seconds = (response) => Number(response.headers.get("x-session-left") || 0);
  const warn = (left) => {
    const line = document.createElement("div");
    line.className = "note warn flash";
    line.setAttribute("role", "alert");
    const end = new Date(Date.now() + left * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const text = document.createElement("p");
    text.textContent = `You'll be signed out at ${end} because nothing happened for a while. `;
    const stay = document.createElement("button");
    stay.type = "button";
    stay.className = "btn small";
    stay.textContent = "Stay signed in";
    stay.onclick = async () => {
      const more = seconds(await fetch("/me", { method: "HEAD", credentials: "same-origin" }));
      if (more > 0) {
        line.remove();
        watch(more);
      } else {
        text.textContent = "You were signed out. What you typed stays: send it, sign in, and it comes back.";
      }
    };
    text.append(stay);
    line.append(text);
    document.getElementById("main").prepend(line);
  };
  const watch = (left) => {
    if (!(left > 0)) return;
    setTimeout(async () => {
      // Another tab may have gone on meanwhile.
      const now = seconds(await fetch("/me", { ...quiet, method: "HEAD" }).catch(() => new Response()));
      if (now > 130) watch(now);
      else if (now > 0) warn(now);
    }, Math.max(0, left - 120) * 1000);
  };
  watch(Number(document.body.dataset.sessionLeft));

  // Blocks of a page that change while it is open: <… id="x" data-replace>. New ones come by id; focus and unfolded parts stay.
  const replace = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    if (fresh.title) document.title = fresh.title;
    all("[data-replace][id]", fresh).forEach((block) => {
      const old = document.getElementById(block.id);
      if (!old || old.outerHTML === block.outerHTML) return;
      const focused = old.contains(document.activeElement) ? document.activeElement : null;
      // What has no id is found again by what it says and where it leads.
      const same = (other) => (focused.id ? other.id === focused.id : other.getAttribute("href") === focused.getAttribute("href") && other.textContent === focused.textContent);
      all("details[open][id]", old).forEach((part) => {
        const fold = all("details[id]", block).find((other) => other.id === part.id);
        if (fold) fold.open = true;
      });
      old.replaceWith(document.importNode(block, true));
      const now = document.getElementById(block.id);
      wire(now);
      if (focused) all(focused.tagName, now).find(same)?.focus({ preventScroll: true });
    });
    return fresh;
  };
  const again = async () => {
    const response = await fetch(location.href, quiet).catch(() => null);
    return response?.ok && !response.redirected ? replace(await response.text()) : null;
  };
  // Live: <… data-events="/tests/…/events">. Where the stream is cut (proxies), the page is asked for again every 2 s until it is done.
  const poll = () => {
    setTimeout(async () => {
      const fresh = await again();
      if (!fresh || fresh.querySelector("[data-events]")) poll();
    }, 2000);
  };
  all("[data-events]").forEach((block) => {
    const stream = new EventSource(block.dataset.events);
    stream.onmessage = (event) => replace(event.data);
    stream.addEventListener("end", async (event) => {
      stream.close();
      if (event.data) replace(event.data);
      await again();
    });
    stream.onerror = () => {
      stream.close();
      poll();
    };
  });
  // <… data-wait="3">: the same while something is waited for; once it is over the page is a new one.
  const pause = Number(document.querySelector("[data-wait]")?.dataset.wait);
  const waiting = pause > 0 && setInterval(async () => {
    if (document.hidden) return;
    const fresh = await again();
    if (!fresh || fresh.querySelector("[data-wait]")) return;
    clearInterval(waiting);
    location.reload();
  }, pause * 1000);
  // What only a script can do is offered where there is one.
  all("[data-scripted]").forEach((part) => { part.hidden = false; });
  // <… data-poll="/…">: a block that is asked for at its own address, which changes with it.
  setInterval(async () => {
    const address = !document.hidden && document.querySelector("[data-poll]")?.dataset.poll;
    const response = address && (await fetch(address, quiet).catch(() => null));
    if (response?.ok && !response.redirected) replace(await response.text());
  }, 15000);
  // <… data-refresh="30">: the whole page's blocks, every so many seconds while it is looked at.
  const every = Number(document.querySelector("[data-refresh]")?.dataset.refresh);
  if (every > 0) setInterval(() => { if (!document.hidden) again(); }, every * 1000);
})();
