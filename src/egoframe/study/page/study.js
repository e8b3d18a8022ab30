"use strict";
const token = location.pathname.split("/").pop();
const at = (id) => document.getElementById(id);
let shownAt = 0;
let current = null;
let busy = false;

function show(id) {
  for (const name of ["consent", "question", "thanks"]) at(name).hidden = name !== id;
}

function say(text) {
  at("message").textContent = text;
  at("message").hidden = !text;
}

async function call(path, body) {
  const request = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
    try {
      const response = await fetch(`/api/${token}${path}`, request);
      const told = await response.json();
      if (response.status < 500) {
        if (!response.ok) throw new Refused(typeof told.detail === "string" ? told.detail : "This was not understood; please reload the page.");
        say("");
        return told;
      }
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    say("The server does not answer; trying again …");
    await new Promise((done) => setTimeout(done, wait));
  }
}

class Refused extends Error {}

function option(content, place) {
  const button = document.createElement("button");
  button.append(content, Object.assign(document.createElement("kbd"), { textContent: place + 1 }));
  button.addEventListener("click", () => answer(place));
  return button;
}

function draw(state) {
  if ("consent" in state) {
    at("consent-text").textContent = state.consent;
    show("consent");
    return;
  }
  at("progress").hidden = false;
  at("progress").max = state.of;
  at("progress").value = state.done;
  current = state.question;
  if (!current) {
    show("thanks");
    return;
  }
  at("asked").textContent = current.asked;
  at("action").textContent = current.action;
  at("photo").src = `/pictures/${current.photo}`;
  at("frame-figure").hidden = at("text").hidden = !("frame" in current);
  if ("frame" in current) {
    at("frame").src = `/pictures/${current.frame}`;
    at("text").textContent = current.text;
  }
  const contents = current.words ?? current.pictures.map((name, k) => Object.assign(new Image(), { src: `/pictures/${name}`, alt: `picture ${k + 1}` }));
  at("options").replaceChildren(...contents.map(option));
  at("tie").hidden = !current.ties;
  show("question");
  shownAt = performance.now();
}

async function act(path, body) {
  if (busy) return;
  busy = true;
  for (const button of document.querySelectorAll("button")) button.disabled = true;
  try {
    draw(await call(path, body));
  } catch (error) {
    say(error.message);
  }
  for (const button of document.querySelectorAll("button")) button.disabled = false;
  busy = false;
}

function answer(place) {
  if (!current) return;
  act("/answers", { question: current.id, place, seconds: (performance.now() - shownAt) / 1000 });
}

at("agree").addEventListener("click", () => act("/consent", {}));
at("tie").addEventListener("click", () => answer(null));
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || at("question").hidden) return;
  const place = Number(event.key) - 1;
  const many = current.words ? current.words.length : current.pictures.length;
  if (event.key === "0" && current.ties) answer(null);
  else if (Number.isInteger(place) && place >= 0 && place < many) answer(place);
});
act("");
