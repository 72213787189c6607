// What all pages share: the parts that are embedded in the page, and its two languages.

export const facts = JSON.parse(document.getElementById("facts").textContent);

// The bytes of a part that is embedded as base64.
export function embedded(id) {
  const text = document.getElementById(id).textContent.trim();
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

// Compiles the numbered module of the page.
export async function modelOf(number) {
  const module = await WebAssembly.compile(embedded(`module-${number}`));
  return new Model(module, facts.sizes[number]);
}

export const byId = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

let language = "en";
let texts = {};
let whenChanged = () => {};

// The text of a key in the chosen language; numbers and names go in place of {0}, {1}.
export function say(key, ...values) {
  const text = texts[language][key] ?? texts.en[key];
  return text.replace(/\{(\d)\}/g, (_, place) => values[place]);
}

function apply(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
  for (const place of document.querySelectorAll("[data-text]")) place.textContent = say(place.dataset.text);
  for (const place of document.querySelectorAll("[data-hint]")) place.placeholder = say(place.dataset.hint);
  for (const place of document.querySelectorAll("[data-name]")) {
    place.setAttribute("aria-label", say(place.dataset.name));
  }
  const other = chosen === "en" ? "ko" : "en";
  const button = byId("language");
  button.textContent = other === "ko" ? "한국어" : "English";
  button.lang = other;
  whenChanged();
}

// Shows a page in the language of the browser, and has the button change it.
export function speak(given, changed = () => {}) {
  texts = given;
  whenChanged = changed;
  byId("language").addEventListener("click", () => apply(language === "en" ? "ko" : "en"));
  apply(navigator.language.startsWith("ko") ? "ko" : "en");
}

// A colour of the page's style.
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// The context of a canvas, sized for the screen: a width and height in the page's own units.
export function drawing(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return { context, width, height };
}

// Lets the browser draw.
export const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

export function softmax(logits, temperature = 1) {
  let most = -Infinity;
  for (const value of logits) most = Math.max(most, value);
  const powers = Float64Array.from(logits, (value) => Math.exp((value - most) / temperature));
  const total = powers.reduce((sum, value) => sum + value, 0);
  return powers.map((value) => value / total);
}

// The number of a row drawn with these probabilities.
export function draw(probabilities) {
  let left = Math.random();
  let last = 0;
  for (let at = 0; at < probabilities.length; at += 1) {
    if (probabilities[at] > 0) last = at;
    left -= probabilities[at];
    if (left < 0) return at;
  }
  return last;
}

// Numbers of 16 bits as numbers of 32.
export function widened(bytes) {
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1);
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits += 1) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
    table[bits] = exponent === 31 ? NaN : bits >> 15 ? -size : size;
  }
  return Float32Array.from(halves, (bits) => table[bits]);
}
