// Compares the pictures of a pair: one over the other with a slider, in turns, or side by side.

const MODES = ["slider", "flip", "side"];
const stageChoice = {
  mode: MODES.includes(memory.get("mode")) ? memory.get("mode") : "slider",
  left: 0,
  right: 1,
  flipped: false,
  cut: 50,
};

// The median shape of these sizes (undefined where there is no picture), so that cards waste little room.
function usualRatio(sizes) {
  const ratios = sizes.filter(Boolean).map(([width, height]) => width / height).sort((first, second) => first - second);
  return Math.min(1.5, Math.max(0.8, ratios[Math.floor(ratios.length / 2)] ?? 1));
}

const IMAGES = ["source", "reference", "ground_truth", "mask"];

// `source_2` is called Source 2; a name that only some benchmark has stays as it is.
function imageLabel(name) {
  const [, family, number] = name.match(/^(.*?)(?:_(\d+))?$/s);
  if (!IMAGES.includes(family)) return name;
  return [t(`image.${family}`), number].filter(Boolean).join(" ");
}

// The images of a pair beside its first source; their URLs are relative to `base`.
function furtherPictures(pair, base) {
  return (pair.pictures ?? []).map(([name, url]) =>
    ({ label: imageLabel(name), small: pictureUrl(url, base), full: null, missing: t("picture.none") }));
}

// An image, or the reason why there is none. `picture`: label, small and full (URLs or null), size, missing (reason).
function pictureOf(picture, { large = false } = {}) {
  const url = (large && picture.full) || picture.small || picture.full;
  if (!url) return placeholder(picture);
  const image = make("img", { src: url, alt: picture.label, decoding: "async", draggable: "false" });
  if (!large) image.loading = "lazy";
  shownIn.set(image, picture);
  image.addEventListener("error", () => {
    const wanted = shownIn.get(image);
    if (image.getAttribute("src") !== wanted.small && wanted.small) image.setAttribute("src", wanted.small);
    else image.replaceWith(placeholder({ ...wanted, missing: t("picture.gone") }));
  });
  return image;
}

// Image element -> the picture that it shows.
const shownIn = new WeakMap();

// Shows another picture in this holder, before all else in it. The old one stays until the new one can be painted.
function swapPicture(holder, picture, { large = false } = {}) {
  const old = holder.firstElementChild;
  const url = (large && picture.full) || picture.small || picture.full;
  if (old?.tagName === "IMG" && url) {
    shownIn.set(old, picture);
    if (old.getAttribute("src") !== url) old.src = url;
    old.alt = shown(picture.label);
    return;
  }
  if (old?.matches("img, .placeholder")) old.remove();
  holder.prepend(pictureOf(picture, { large }));
}

function pictureUrlOf(picture) {
  return picture.full || picture.small;
}

function placeholder(picture) {
  return make("div", { class: picture.failed ? "placeholder failed" : "placeholder" },
    make("span", { dir: "auto" }, picture.missing ?? t("picture.none")));
}

function fullSizeLink(picture) {
  if (!picture.full) return null;
  const size = picture.size ? ` (${picture.size.join(" × ")})` : "";
  const link = { href: picture.full, target: "_blank", rel: "noopener" };
  return make("a", link, `${picture.label}: ${t("full.size")}${size}`);
}

// `pictures`: two or more, the source first. `redraw` is called when another mode or picture is chosen;
// `choosePicture(edge, index)`, if there is one, in place of choosing a picture here.
function stage(pictures, redraw, choosePicture) {
  const last = pictures.length - 1;
  const left = Math.min(stageChoice.left, last);
  const right = Math.min(stageChoice.right, last);
  const tools = make("div", { class: "stage-tools" }, modeButtons(redraw));
  if (pictures.length > 2 && stageChoice.mode !== "side") {
    const choose = choosePicture ?? ((edge, index) => {
      stageChoice[edge] = index;
      redraw(`[data-edge="${edge}"]`);
    });
    tools.append(pictureChoice("left", pictures, left, choose), pictureChoice("right", pictures, right, choose));
  }
  // Slider and flip need two pictures.
  const mode = pictureUrlOf(pictures[left]) && pictureUrlOf(pictures[right]) ? stageChoice.mode : "side";
  const shown = {
    slider: () => slider(pictures[left], pictures[right]),
    flip: () => flip(pictures[left], pictures[right], redraw),
    side: () => side(stageChoice.mode === "side" ? pictures : [pictures[left], pictures[right]]),
  }[mode]();
  const below = make("p", { class: "stage-links" }, stageLinks(pictures, left, right));
  return make("div", { class: `stage-holder of-${stageChoice.mode}` }, tools, shown, below);
}

// Links to the pictures that are shown, in full size.
function stageLinks(pictures, left, right) {
  const shown = stageChoice.mode === "side" ? pictures : [pictures[left], pictures[right]];
  const sourceNote = shown.includes(pictures[0]) && pictures[0].small && !pictures[0].full ? t("source.small") : null;
  const parts = [...shown.map(fullSizeLink), sourceNote].filter(Boolean);
  return parts.flatMap((part, i) => (i ? [" · ", part] : [part]));
}

// Shows another picture at the right of a slider that is there already; false if there is none.
function swapRight(holder, pictures, right) {
  const node = holder.querySelector(".stage.slider");
  if (!node || !pictureUrlOf(pictures[right])) return false;
  const left = Math.min(stageChoice.left, pictures.length - 1);
  stageChoice.right = right;
  swapPicture(node.querySelector(".over"), pictures[right], { large: true });
  node.querySelector(".tag.end").textContent = shown(pictures[right].label);
  const label = t("slider.label", { left: pictures[left].label, right: pictures[right].label });
  node.querySelector(".wipe").setAttribute("aria-label", shown(label));
  holder.querySelector("[data-edge=right]").value = right;
  holder.querySelector(".stage-links").replaceChildren(...stageLinks(pictures, left, right));
  return true;
}

function modeButtons(redraw) {
  const buttons = MODES.map((mode) => make("button", {
    type: "button", class: "segment", "data-mode": mode, "aria-pressed": String(stageChoice.mode === mode),
    on: { click: () => setMode(mode, redraw) },
  }, t(`mode.${mode}`)));
  return make("div", { class: "segments", role: "group", "aria-label": t("mode") }, buttons);
}

function setMode(mode, redraw) {
  stageChoice.mode = mode;
  memory.set("mode", mode);
  redraw(`[data-mode="${mode}"]`);
}

function pictureChoice(edge, pictures, chosen, choose) {
  const options = pictures.map((picture, index) =>
    make("option", { value: index, selected: index === chosen }, picture.label));
  const change = (event) => choose(edge, Number(event.target.value));
  return make("select", { "aria-label": t(`edge.${edge}`), "data-edge": edge, on: { change } }, options);
}

// As wide as the room allows, and as high as fits without scrolling. Where no size is known, the file tells it.
function framed(node, pictures) {
  const shape = (width, height) => node.style.setProperty("--ratio", String(Math.min(3, Math.max(0.4, width / height))));
  const known = pictures.find((picture) => picture.size)?.size;
  shape(...(known ?? [4, 3]));
  const image = node.querySelector(".over img, .layer:not(.hidden) img");
  if (!known && image) {
    const measure = () => image.naturalWidth > 0 && shape(image.naturalWidth, image.naturalHeight);
    if (image.complete) measure();
    else image.addEventListener("load", measure);
  }
  return node;
}

function slider(left, right) {
  const range = make("input", {
    type: "range", class: "wipe", min: 0, max: 100, step: 0.1, value: stageChoice.cut,
    "aria-label": t("slider.label", { left: left.label, right: right.label }),
  });
  const node = framed(make("div", { class: "stage slider" },
    make("div", { class: "layer" }, pictureOf(left, { large: true })),
    make("div", { class: "layer over" }, pictureOf(right, { large: true })),
    range,
    make("span", { class: "handle", "aria-hidden": "true" }),
    make("span", { class: "tag start" }, left.label),
    make("span", { class: "tag end" }, right.label),
  ), [right, left]);
  const move = () => {
    stageChoice.cut = Number(range.value);
    node.style.setProperty("--cut", `${stageChoice.cut}%`);
    range.setAttribute("aria-valuetext", `${Math.round(stageChoice.cut)}%`);
  };
  range.addEventListener("input", move);
  move();
  return node;
}

function flip(left, right, redraw) {
  const shown = stageChoice.flipped ? left : right;
  const other = stageChoice.flipped ? right : left;
  const turn = () => {
    stageChoice.flipped = !stageChoice.flipped;
    redraw(".stage.flip");
  };
  // Both pictures are in the document, so that none has to be decoded when they change places.
  return framed(make("button", {
    type: "button", class: "stage flip", "aria-label": t("flip.label", { shown: shown.label }), on: { click: turn },
  },
    make("div", { class: "layer hidden" }, pictureOf(other, { large: true })),
    make("div", { class: "layer" }, pictureOf(shown, { large: true })),
    make("span", { class: stageChoice.flipped ? "tag start" : "tag end" }, shown.label),
  ), [right, left]);
}

function side(pictures) {
  return make("div", { class: "stage-side" }, pictures.map((picture) => {
    const image = pictureOf(picture, { large: true });
    const shown = picture.full
      ? make("a", { href: picture.full, target: "_blank", rel: "noopener", title: t("full.size") }, image)
      : image;
    return make("figure", {}, make("div", { class: "picture" }, shown), make("figcaption", {}, picture.label));
  }));
}

// Handles keys for the pictures; true if this was one.
function stageKey(event, redraw) {
  if (event.key === "v") setMode(MODES[(MODES.indexOf(stageChoice.mode) + 1) % MODES.length], redraw);
  else if (event.key === " " && !event.target.closest("button, a, select, summary")) {
    if (stageChoice.mode !== "flip") setMode("flip", redraw);
    stageChoice.flipped = !stageChoice.flipped;
    redraw(".stage.flip");
  } else return false;
  return true;
}
