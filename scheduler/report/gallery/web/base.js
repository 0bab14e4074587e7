// What every page of warmbench builds upon. Texts from data enter the document as text nodes and attributes only.

const data = JSON.parse(document.getElementById("data").textContent);
const head = data.head;
data.items.forEach((item, index) => {
  item.index = index;
});
const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "rect", "line", "path", "circle", "text"]);

// An element. Attributes that are null or false are left out; `on` has listeners; children may be nested lists.
function make(tag, attributes = {}, ...children) {
  const node = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Paths in the data are relative to a run's folder, or whole file: URLs.
function pictureUrl(path, base) {
  if (!path) return null;
  return path.startsWith("file:") ? path : base + path;
}

// A text of the data is a string, or its beginning and the length of the whole.
function textOf(text) {
  if (text === null || text === undefined) return "";
  return typeof text === "string" ? text : text.text;
}

// What is remembered from page to page; a browser may refuse, and then it is forgotten.
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
      // Only a convenience is lost.
    }
  },
};

// At most once a frame, however often it is asked for.
function oncePerFrame(action) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      action();
    });
  };
}

function isTyping(event) {
  const target = event.target;
  return target instanceof HTMLElement && target.matches("input:not([type=range]), select, textarea");
}
