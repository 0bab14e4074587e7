// One pair in full, over the page; keys lead to the next and the previous one.

// `describe(pair, redraw)` returns what is shown of a pair: key (its name in the URL), heading, pictures, body (lists
// of nodes), and optionally below (nodes under the pictures), onKey(event), true if it was handled, and
// choosePicture(edge, index), see stage.js. `picturesOf(pair)` are the first ones shown.
function createDetail(grid, describe, picturesOf) {
  const position = make("span", { class: "position" });
  const heading = make("h2", { id: "detail-heading" });
  const buttons = make("div", { class: "detail-buttons" });
  const pictures = make("div", { class: "detail-stage" });
  const below = make("div", { class: "detail-below" });
  const body = make("div", { class: "detail-body" });
  const dialog = make("dialog", { class: "detail", "aria-labelledby": "detail-heading" },
    make("div", { class: "detail-head" }, heading, position, buttons),
    make("div", { class: "detail-main" }, make("div", { class: "detail-pictures" }, pictures, below), body));
  let index = -1;
  let described = null;

  // `focus` is a selector of the element that was used; redrawing has replaced it.
  function redraw(focus) {
    if (index < 0) return;
    const used = document.activeElement?.dataset.action;
    described = describe(grid.item(index), redraw);
    heading.replaceChildren(...described.heading);
    position.textContent = t("position", { n: whole(index + 1), all: whole(grid.count()) });
    buttons.replaceChildren(
      iconButton("previous", "←", () => move(-1), index === 0),
      iconButton("next", "→", () => move(1), index === grid.count() - 1),
      iconButton("close", "×", () => dialog.close(), false),
    );
    const scrolled = body.scrollTop;
    pictures.replaceChildren(stage(described.pictures, redraw, described.choosePicture));
    fill(below, described.below ?? []);
    fill(body, described.body);
    if (focus) body.scrollTop = scrolled;
    const selector = focus ?? (used && `[data-action="${used}"]:not(:disabled)`);
    if (selector) dialog.querySelector(selector)?.focus();
  }

  function iconButton(name, sign, action, disabled) {
    return make("button", {
      type: "button", class: "icon", "data-action": name, title: t(name), "aria-label": t(name), disabled,
      on: { click: action },
    }, sign);
  }

  function open(next) {
    if (next < 0 || next >= grid.count()) return;
    index = next;
    redraw();
    body.scrollTop = 0;
    if (!dialog.open) {
      dialog.showModal();
      first().focus();
    }
    view.pair = described.key;
    writeView();
    for (const near of [index + 1, index - 1]) preload(near);
  }

  const first = () => dialog.querySelector("[autofocus]") ?? dialog;

  function preload(near) {
    if (near < 0 || near >= grid.count()) return;
    for (const picture of picturesOf(grid.item(near))) {
      const url = pictureUrlOf(picture);
      if (url) new Image().src = url;
    }
  }

  function move(by) {
    const next = index + by;
    if (next < 0 || next >= grid.count()) return;
    const used = document.activeElement?.dataset.action;
    open(next);
    const button = used && dialog.querySelector(`[data-action="${used}"]:not(:disabled)`);
    (button || first()).focus();
  }

  dialog.tabIndex = -1;
  dialog.addEventListener("close", () => {
    const last = index;
    index = -1;
    view.pair = "";
    writeView();
    grid.show(last, true);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    const slides = event.target.matches("input[type=range]");
    if (event.key === "j" || (event.key === "ArrowRight" && !slides)) move(1);
    else if (event.key === "k" || (event.key === "ArrowLeft" && !slides)) move(-1);
    else if (event.key === "?") openHelp();
    else if (!described?.onKey?.(event) && !stageKey(event, redraw)) return;
    event.preventDefault();
  });

  return { dialog, open, redraw: () => redraw(), isOpen: () => dialog.open, close: () => dialog.close() };
}

// Puts the nodes into the holder. Those that are there already stay untouched: a slider is not torn from the hand.
function fill(holder, nodes) {
  const wanted = nodes.filter(Boolean);
  if (wanted.length !== holder.childNodes.length || wanted.some((node, i) => node !== holder.childNodes[i])) {
    holder.replaceChildren(...wanted);
  }
}

// A text under its name, with a note if it was cut.
function textBlock(name, text, kind = "") {
  if (!isKnown(text) || text === "") return [];
  const cut = typeof text === "string" ? null : t("text.cut", { whole: whole(text.length) });
  return [
    make("dt", {}, name),
    make("dd", { class: `text ${kind}` },
      make("bdi", {}, textOf(text)), cut && make("span", { class: "cut" }, cut)),
  ];
}

function fact(name, value) {
  return !isKnown(value) || value === "" ? [] : [make("dt", {}, name), make("dd", {}, value)];
}

// Each dimension with its place on its own scale.
function dimensionsList(values) {
  const entries = Object.entries(values ?? {});
  return entries.length > 0 && make("dl", { class: "dimensions-list" }, entries.flatMap(([name, value]) => [
    make("dt", {}, make("bdi", {}, name)),
    make("dd", {}, scoreLine(value, dimensions.get(name)), scoreText(value))]));
}
