// A pair as a card: its source and the edit of the current run, or the edits of all runs in a row.

const isStrip = () => view.layout === "strip";
const scoresInOrder = (pair) => order.map((number) => scoreIn(pair, number));

function drawCard(pair) {
  return isStrip() ? stripCard(pair) : oneCard(pair);
}

function cardHead(pair, ...more) {
  return make("div", { class: "card-head" }, more,
    make("h3", { id: `pair-${pair.index}`, class: "name" }, make("bdi", {}, pair.pair_id)),
    make("span", { class: "category" }, make("bdi", {}, pair.category)));
}

const instructionLine = (pair) => make("p", { class: "instruction", dir: "auto" }, textOf(pair.instruction));

function oneCard(pair) {
  const edit = make("div", { class: "picture" });
  const tag = make("span", { class: "tag" });
  const score = make("span", { class: "card-score" });
  const change = make("span", { class: "change quiet", title: changeTitle(earlierRun(), null) });
  const curve = sparkline(scoresInOrder(pair), { range: page.range });
  const card = make("article", { class: "card", "aria-labelledby": `pair-${pair.index}` },
    anyPictures && make("div", { class: "pictures" },
      make("div", { class: "picture" }, pictureOf(sourceOf(pair)), make("span", { class: "tag" }, t("source"))),
      edit),
    cardHead(pair, score, change),
    order.length > 1 && make("div", { class: "card-curve" }, curve),
    instructionLine(pair));
  edit.append(tag);
  return follow(card, (number) => {
    if (anyPictures) swapPicture(edit, editIn(pair, number));
    tag.textContent = shown(shortName(runs[number]));
    score.replaceChildren(scoreOrReason(pair, number));
    change.textContent = changeText(pair, number);
    curve.mark(placeOf.get(number));
  });
}

function scoreOrReason(pair, number) {
  const status = statusIn(pair, number);
  if (status === "scored") return scoreMark(scoreIn(pair, number), "large");
  return make("span", { class: `state ${status}`, title: reasonIn(pair, number) }, t(`status.${status}`));
}

// The change since the run that the pairs are compared with.
function changeText(pair, number) {
  const change = changeOf(pair, earlierRun(), number);
  return isKnown(change) && number !== earlierRun() ? signedText(change) : "";
}

function stripCard(pair) {
  const figures = order.map((number) => stripFigure(pair, number));
  const strip = make("div", { class: "strip" }, figures);
  strip.addEventListener("scroll", () => scrollStrips(strip), { passive: true });
  queueMicrotask(() => placeStrip(strip, figures));
  const card = make("article", { class: "card strip-card", "aria-labelledby": `pair-${pair.index}` },
    cardHead(pair, strengthOf(pair)),
    instructionLine(pair),
    make("div", { class: "strip-row" },
      anyPictures && make("figure", { class: "strip-source" },
        make("div", { class: "picture" }, pictureOf(sourceOf(pair))), make("figcaption", {}, t("source"))),
      strip));
  return follow(card, (number) => {
    figures.forEach((figure, place) => figure.classList.toggle("current", order[place] === number));
    if (card.isConnected) reveal(strip, figures[placeOf.get(number)]);
  });
}

function stripFigure(pair, number) {
  const status = statusIn(pair, number);
  return make("figure", { "data-run": number, title: nameOf(runs[number]) },
    anyPictures && make("div", { class: "picture" }, pictureOf(editIn(pair, number))),
    make("figcaption", {}, make("span", { class: "strip-step" }, make("bdi", {}, shortName(runs[number]))),
      status === "scored" ? scoreMark(scoreIn(pair, number)) : make("span", { class: "state" }, t(`status.${status}`))));
}

// The largest change of the pair between the two runs that are compared.
function strengthOf(pair) {
  const change = changeOf(pair, earlierRun(), laterRun());
  if (!isKnown(change)) return null;
  const mark = make("span", { class: "score large", title: changeTitle(earlierRun(), laterRun()) }, signedText(change));
  const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.backgroundColor = differenceColour(0.5 + change / (page.range[1] - page.range[0]) / 2);
  mark.prepend(swatch);
  return mark;
}

// Without `later`, it is the run that is shown.
function changeTitle(earlier, later) {
  const names = { earlier: stepText(runs[earlier]), later: later === null ? "" : stepText(runs[later]) };
  return t(later === null ? "change.since" : "change.between", names);
}

// All strips are scrolled alike; null until one was shown.
let stripLeft = null;

// A strip that has just come into the document.
function placeStrip(strip, figures) {
  if (stripLeft === null) {
    reveal(strip, figures[placeOf.get(currentRun())]);
    stripLeft = strip.scrollLeft;
  } else strip.scrollLeft = stripLeft;
}

const scrollOthers = oncePerFrame(() => {
  for (const strip of document.querySelectorAll(".strip")) strip.scrollLeft = stripLeft;
});

function scrollStrips(strip) {
  if (Math.abs(strip.scrollLeft - stripLeft) < 1) return;
  stripLeft = strip.scrollLeft;
  scrollOthers();
}

// Scrolls a row of pictures so that this one is seen.
function reveal(row, node) {
  const { offsetLeft: left, offsetWidth: width } = node;
  if (left < row.scrollLeft) row.scrollLeft = left - 8;
  else if (left + width > row.scrollLeft + row.clientWidth) row.scrollLeft = left + width - row.clientWidth + 8;
}
