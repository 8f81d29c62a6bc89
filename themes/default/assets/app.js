// Comforts of the hosted pages. Each page works without them.
"use strict";

// Shows and hides a password.
for (const button of document.querySelectorAll("[data-reveal]")) {
  const field = document.getElementById(button.dataset.reveal);
  const show = (on) => {
    field.type = on ? "text" : "password";
    button.toggleAttribute("data-on", on);
    button.title = on ? button.dataset.hide : button.dataset.show;
    button.setAttribute("aria-label", button.title);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const { selectionStart, selectionEnd } = field;
    show(field.type === "password");
    field.focus();
    field.setSelectionRange(selectionStart, selectionEnd);
  });
  // Password managers and the browser's history look for a password field.
  field.form.addEventListener("submit", () => show(false));
}

// Says when Caps Lock is on while a password is typed.
for (const hint of document.querySelectorAll("[data-caps]")) {
  const field = document.getElementById(hint.dataset.caps);
  const look = (event) => {
    if (event.getModifierState) hint.hidden = !event.getModifierState("CapsLock");
  };
  field.addEventListener("keydown", look);
  field.addEventListener("keyup", look);
  field.addEventListener("blur", () => (hint.hidden = true));
}

// Says how strong a new password is: by its length first, and by how many different characters it has.
for (const meter of document.querySelectorAll("[data-strength]")) {
  const field = document.getElementById(meter.dataset.strength);
  const words = meter.dataset.words.split("|");
  const word = meter.querySelector("[role=status]");
  field.addEventListener("input", () => {
    const characters = [...field.value];
    const beyond = characters.length - Number(meter.dataset.least);
    const varied = new Set(characters).size;
    const level = beyond < 0 || varied < 5 ? 0 : beyond < 4 || varied < 9 ? 1 : beyond < 9 || varied < 12 ? 2 : 3;
    meter.hidden = characters.length === 0;
    meter.dataset.level = level;
    if (word.textContent !== words[level]) word.textContent = words[level];
  });
}

// Sends a form once. The button stays enabled: a disabled one would not be sent.
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    if (form.hasAttribute("data-sent")) return event.preventDefault();
    form.setAttribute("data-sent", "");
    event.submitter?.setAttribute("aria-busy", "true");
  });
}
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.forms) form.removeAttribute("data-sent");
  for (const busy of document.querySelectorAll("[aria-busy]")) busy.removeAttribute("aria-busy");
});

// What happened is read first. Not every browser honours autofocus on what is no field.
const notice = document.getElementById("notice");
if (notice && document.activeElement !== notice) notice.focus({ preventScroll: false });
