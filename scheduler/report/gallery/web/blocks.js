// Blocks that pages are made of.

function notes(texts) {
  return make("ul", { class: "notes", role: "note" }, texts.map((note) => make("li", {}, textOf(note))));
}

function figure(label, value, more, warns = false) {
  return make("div", { class: warns ? "figure warns" : "figure" },
    make("span", { class: "label" }, label), make("span", { class: "value" }, value),
    make("span", { class: "more" }, more));
}

function modelText(model) {
  if (!model) return NOTHING;
  return [model.model_name && make("bdi", {}, model.model_name), model.model_name && model.type && " · ",
    model.type && make("span", { class: "quiet" }, model.type)].filter(Boolean);
}

function headings(names) {
  return make("thead", {}, make("tr", {}, names.map((name) => make("th", { scope: "col" }, t(name)))));
}

// `name` is its id and the name of its words.
function folded(name, summary, content) {
  return make("details", { class: "folded", id: name },
    make("summary", {}, make("h2", {}, t(name)), make("span", { class: "quiet" }, summary)), content);
}

function fileLinks(links) {
  return links.flatMap(([name, url], i) => [i ? " · " : "", make("a", { href: url }, name)]);
}
