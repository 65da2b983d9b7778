// Sends a clip to the model of this page, and shows what comes back. One clip is on its way at a time.
const box = document.querySelector(".try");
const form = box.querySelector("form");
const input = form.querySelector("input");
const button = form.querySelector("button");
const progress = form.querySelector("progress");
const state = form.querySelector("[role=status]");
const problem = form.querySelector("[role=alert]");
const result = box.querySelector(".try-result");

form.hidden = false;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!button.disabled) send(input.files[0]);
});

input.addEventListener("change", () => {
  problem.textContent = "";
  state.textContent = "";
});

const drop = form.querySelector(".try-drop");
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("try-over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) {
      input.files = event.dataTransfer.files;
      input.dispatchEvent(new Event("change"));
    }
  });
}

function send(clip) {
  const limit = Number(form.dataset.limit);
  if (clip.size > limit) {
    show({ problem: `The clip has ${inMegabytes(clip.size)}; ${inMegabytes(limit)} are taken here.` });
    return;
  }
  show({ state: "Sending the clip …", isBusy: true });
  const request = new XMLHttpRequest(); // which tells how much was sent; fetch does not
  const query = new URLSearchParams({ revision: form.dataset.revision, name: clip.name });
  request.open("POST", `${form.getAttribute("action")}?${query}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.responseType = "json";
  request.upload.addEventListener("progress", (event) => { progress.value = event.loaded / event.total; });
  request.upload.addEventListener("load", () => {
    progress.removeAttribute("value");
    show({ state: "Computing …", isBusy: true });
  });
  request.addEventListener("load", () => {
    if (request.status === 200) showAnswer(request.response);
    else show({ problem: request.response?.error ?? `The hub answered with the status ${request.status}.` });
  });
  request.addEventListener("error", () => show({ problem: "The hub cannot be reached; try again in a while." }));
  request.send(clip);
}

function show({ state: words = "", problem: reason = "", isBusy = false }) {
  state.textContent = words;
  problem.textContent = reason;
  progress.hidden = !isBusy;
  button.disabled = isBusy;
  result.hidden = true;
}

function showAnswer({ labels, frames, seconds }) {
  const best = labels[0];
  const loading = seconds.load >= 0.1 ? `, after ${seconds.load.toFixed(1)} s of loading the model` : "";
  show({ state: `${best.label}, ${inPercent(best.score)}. It took ${seconds.predict.toFixed(1)} s${loading}.` });
  result.querySelector(".try-bars").replaceChildren(...labels.map(makeBar));
  result.querySelector(".try-frames").replaceChildren(...frames.map(makeFrame));
  result.hidden = false;
}

function makeBar({ label, score }) {
  const name = make("span", { className: "try-label", textContent: label });
  const share = make("span", { className: "try-share", textContent: inPercent(score) });
  const bar = make("meter", { min: 0, max: 1, value: score, ariaHidden: "true" });
  return make("li", {}, name, share, bar);
}

function makeFrame(data, index, all) {
  const alt = `frame ${index + 1} of ${all.length}`;
  return make("li", {}, make("img", { src: `data:image/jpeg;base64,${data}`, alt }));
}

function make(kind, properties, ...children) {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
}

function inPercent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function inMegabytes(size) {
  return `${(size / 1e6).toFixed(1)} MB`;
}
