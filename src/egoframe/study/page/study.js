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
  for (let tries = 0; ; tries++) {
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
    await pause(tries);
  }
}

async function loaded(image) {
  for (let tries = 0; ; tries++) {
    try {
      return await image.decode();
    } catch {
      say("A picture is missing; trying again …");
      await pause(tries);
      image.src = image.src;
    }
  }
}

function pause(tries) {
  return new Promise((done) => setTimeout(done, Math.min(500 * 2 ** tries, 8000)));
}

class Refused extends Error {}

function option(content, place) {
  const button = document.createElement("button");
  button.append(content, Object.assign(document.createElement("kbd"), { textContent: place + 1 }));
  button.addEventListener("click", (event) => chosen(event, place));
  return button;
}

async function draw(state) {
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
  at("question").className = current.words ? "text" : "drawn";
  at("asked").textContent = current.asked;
  at("action").hidden = !("action" in current);
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
  scrollTo(0, 0);
  const images = [...document.images].filter((image) => image.hasAttribute("src"));
  await Promise.all(images.map(loaded)); // nobody answers what they do not see
  say("");
  shownAt = performance.now();
}

async function act(path, body) {
  if (busy) return;
  hold(true);
  try {
    await draw(await call(path, body));
  } catch (error) {
    say(error.message);
  }
  hold(false);
}

function hold(on) {
  at("controls").disabled = busy = on;
}

function answer(place) {
  if (current) act("/answers", { question: current.id, place, seconds: (performance.now() - shownAt) / 1000 });
}

function chosen(event, place) {
  if (event.detail < 2) answer(place); // the second tap of a double one was for the question before
}

at("agree").addEventListener("click", () => act("/consent", {}));
at("tie").addEventListener("click", (event) => chosen(event, null));
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || at("question").hidden) return;
  const place = Number(event.key) - 1;
  if (event.key === "0" && current.ties) answer(null);
  else if (at("options").children[place]) answer(place);
});
act("");
