// The basis of every page. Texts from data enter the document as text nodes and attributes only.

// `page` is what only a page has: links, the ends of the scale. The rest is a JSON report; nulls are left out of it.
const data = JSON.parse(document.getElementById("data").textContent);
const { page } = data;
const pairs = data.report?.pairs ?? data.pairs;
// Category -> its place in the benchmark's order, and the number of its pairs.
const categories = new Map();
pairs.forEach((pair, index) => {
  pair.index = index;
  if (!categories.has(pair.category)) categories.set(pair.category, { place: categories.size, count: 0 });
  categories.get(pair.category).count += 1;
});
const pairKey = (pair) => `${pair.category}/${pair.pair_id}`;
const isKnown = (value) => value !== null && value !== undefined;
// The dimensions of this page's runs: name -> the ends of its scale (range), and which end is better.
const dimensions = new Map(page.dimensions);
// Of a pair, or of a pair in one run. Names come from data, and `__proto__` may be one.
const dimensionOf = (judged, name) =>
  (judged?.dimensions && Object.hasOwn(judged.dimensions, name) ? judged.dimensions[name] : null);

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "rect", "line", "path", "circle", "text"]);

// Characters that do not print, or that change the direction of a text (as in scheduler/base/text.py).
const UNPRINTABLE = new RegExp("[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e"
  + "\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff\\u{e0000}-\\u{e007f}]", "gu");
const SHOWN_ATTRIBUTES = new Set(["alt", "aria-label", "placeholder", "title"]);

// A text as it is shown: line breaks and tabs stay, other characters that do not print become escapes.
function shown(text) {
  return String(text).replace(/\r\n?/g, "\n").replace(UNPRINTABLE, (character) => {
    const hex = character.codePointAt(0).toString(16);
    if (hex.length <= 2) return `\\x${hex.padStart(2, "0")}`;
    return hex.length <= 4 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
  });
}

// An element. Attributes that are null or false are left out; `on` has listeners; children may be nested lists.
function make(tag, attributes = {}, ...children) {
  const node = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (!isKnown(value) || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else {
      const text = SHOWN_ATTRIBUTES.has(name) ? shown(value) : value;
      node.setAttribute(name, value === true ? "" : text);
    }
  }
  const parts = children.flat(Infinity).filter((child) => isKnown(child) && child !== false);
  node.append(...parts.map((child) => (child instanceof Node ? child : shown(child))));
  return node;
}

// Paths in the data are relative to a run's folder, or whole file: URLs.
function pictureUrl(path, base) {
  if (!path) return null;
  return path.startsWith("file:") ? path : base + path;
}

// A text of the data is a string, or its beginning and the length of the whole.
function textOf(text) {
  if (!isKnown(text)) return "";
  return typeof text === "string" ? text : text.text;
}

// Settings that all pages share. A browser may refuse to store them; then they last as long as the page.
const memory = {
  get(name) {
    try {
      return localStorage.getItem(`warmbench.${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`warmbench.${name}`, value);
    } catch {
      // The setting lasts as long as the page.
    }
  },
};

// A function that runs the action at most once a frame.
function oncePerFrame(action) {
  let requested = false;
  return () => {
    if (requested) return;
    requested = true;
    requestAnimationFrame(() => {
      requested = false;
      action();
    });
  };
}

function isTyping(event) {
  const target = event.target;
  return target instanceof HTMLElement && target.matches("input:not([type=range]), select, textarea");
}
