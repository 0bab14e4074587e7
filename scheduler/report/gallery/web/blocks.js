// Parts of pages.

function notes(texts) {
  return make("ul", { class: "notes", role: "note" }, texts.map((note) => make("li", {}, textOf(note))));
}

function figure(label, value, more, warns = false) {
  return make("div", { class: warns ? "figure warns" : "figure" },
    make("span", { class: "label" }, label), make("span", { class: "value" }, value),
    make("span", { class: "more" }, more));
}

// Name and type of a model, from its part of the manifest, which may have any form.
function modelText(model) {
  const name = model?.model_name;
  const type = model?.type;
  if (!name && !type) return NOTHING;
  return [name && make("bdi", {}, String(name)), name && type && " · ",
    type && make("span", { class: "quiet" }, String(type))].filter(Boolean);
}

const MAX_MAIN = 9;

// The main number, and those beside it: with `full/en/O` all that begin with `full/en/`. Each is a list, name first.
function mainNumbers({ main, numbers }) {
  const parentOf = (name) => name.slice(0, name.lastIndexOf("/") + 1);
  const first = numbers.filter(([name]) => name === main);
  const beside = main ? numbers.filter(([name]) => name !== main && parentOf(name) === parentOf(main)) : [];
  return [...first, ...beside].slice(0, MAX_MAIN);
}

function headings(names) {
  return make("thead", {}, make("tr", {}, names.map((name) => make("th", { scope: "col" }, t(name)))));
}

// A section that is folded at first. `name` is its id, and the name of its heading if that has no other.
function folded(name, summary, content, heading = name) {
  return make("details", { class: "folded", id: name },
    make("summary", {}, make("h2", {}, t(heading)), make("span", { class: "quiet" }, summary)), content);
}

function fileLinks(links) {
  return links.flatMap(([name, url], i) => [i ? " · " : "", make("a", { href: url }, name)]);
}
