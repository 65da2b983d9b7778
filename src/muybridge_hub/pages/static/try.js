// Sends a clip to the model of this page, and shows the answer. Sends one clip at a time.
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
    show({ problem: `The clip has ${formatMegabytes(clip.size)}; up to ${formatMegabytes(limit)} are allowed.` });
    return;
  }
  show({ state: "Sending the clip …", isBusy: true });
  const request = new XMLHttpRequest(); // not fetch, which does not tell how much was sent
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

function show({ state: stateText = "", problem: problemText = "", isBusy = false }) {
  state.textContent = stateText;
  problem.textContent = problemText;
  progress.hidden = !isBusy;
  button.disabled = isBusy;
  result.hidden = true;
}

function showAnswer({ labels, frames, seconds }) {
  const best = labels[0];
  const loading = seconds.load >= 0.1 ? `, after ${seconds.load.toFixed(1)} s of loading the model` : "";
  show({ state: `${best.label}, ${formatPercent(best.score)}. It took ${seconds.predict.toFixed(1)} s${loading}.` });
  result.querySelector(".try-bars").replaceChildren(...labels.map(makeBar));
  result.querySelector(".try-frames").replaceChildren(...frames.map(makeFrame));
  result.hidden = false;
}

function makeBar({ label, score }) {
  const name = makeElement("span", { className: "try-label", textContent: label });
  const percent = makeElement("span", { className: "try-percent", textContent: formatPercent(score) });
  const bar = makeElement("meter", { min: 0, max: 1, value: score, ariaHidden: "true" });
  return makeElement("li", {}, name, percent, bar);
}

function makeFrame(data, index, all) {
  const alt = `frame ${index + 1} of ${all.length}`;
  return makeElement("li", {}, makeElement("img", { src: `data:image/jpeg;base64,${data}`, alt }));
}

function makeElement(kind, properties, ...children) {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
}

function formatPercent(fraction) {
  return `${(100 * fraction).toFixed(1)} %`;
}

function formatMegabytes(size) {
  return `${(size / 1e6).toFixed(1)} MB`;
}
