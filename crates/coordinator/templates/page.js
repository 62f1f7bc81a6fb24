"use strict";
// Keeps the page up to date. The coordinator sends what changes as HTML about once a second; what
// differs from the page is taken over, and the rest is left alone, with the reader's selection,
// focus and scroll positions.

const SILENCE_MS = 5000;
const RETRY_MS = 1000;

const report = document.getElementById("report");
const notice = document.getElementById("notice");

let lastHeard = new Date();
let events;

function connect() {
  // Without the name and password that the address of a page may have: requests may not.
  events = new EventSource(location.origin + "/events");
  events.onmessage = (event) => {
    lastHeard = new Date();
    tell("");
    show(JSON.parse(event.data));
  };
  events.onerror = () => {
    events.close();
    tellLost();
    setTimeout(connect, RETRY_MS);
  };
}

function show(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  adopt(report, page.body, true);
  const header = report.querySelector("header");
  document.title = header.dataset.title;
  if (header.dataset.end) {
    events.close();
    clearInterval(watch);
    tell("The run has ended. This page shows its last state, and changes no more.");
  }
}

// Makes `old` what `fresh` is.
function adopt(old, fresh, childrenOnly = false) {
  if (old.isEqualNode(fresh)) return;
  if (!childrenOnly && (old.nodeName !== fresh.nodeName || old.nodeType !== Node.ELEMENT_NODE)) {
    old.replaceWith(fresh);
    return;
  }
  if (!childrenOnly) adoptAttributes(old, fresh);
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  after.forEach((child, index) => {
    if (index < before.length) adopt(before[index], child);
    else old.append(child);
  });
  before.slice(after.length).forEach((child) => child.remove());
}

function adoptAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function tellLost() {
  const since = lastHeard.toLocaleString();
  tell(`The coordinator has not been reached since ${since}. This page shows the state of then, and tries again.`);
}

function tell(text) {
  if (notice.textContent !== text) notice.textContent = text;
  notice.hidden = text === "";
}

// A connection may stand while nobody is at its other end.
const watch = setInterval(() => {
  if (new Date() - lastHeard > SILENCE_MS) tellLost();
}, RETRY_MS);

if (report.querySelector("header").dataset.end) {
  clearInterval(watch);
} else {
  connect();
}
