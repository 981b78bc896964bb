// Copy buttons, a check box that confirms, and secrets that do not come back. Every page works without this file.
"use strict";

for (const button of document.querySelectorAll("button[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

for (const box of document.querySelectorAll("input[data-confirms]")) {
  const button = document.getElementById(box.dataset.confirms);
  if (!button) continue;
  const follow = () => { button.disabled = !box.checked; };
  box.addEventListener("change", follow);
  follow();
}

// A browser may keep a page for its Back button. Its secrets are wiped before, and the page is asked for again
// afterwards, by GET.
const secrets = document.querySelectorAll("[data-once]");
addEventListener("pagehide", () => {
  for (const secret of secrets) {
    if ("value" in secret) secret.value = secret.dataset.once;
    else secret.textContent = secret.dataset.once;
  }
});
addEventListener("pageshow", (event) => {
  if (event.persisted && secrets.length) location.replace(location.pathname + location.search);
});
