// A pair in full: two pictures to compare, all edits in a row, the slider, and the scores run by run.

// What stays while the reader goes from run to run: made once for a pair, in one language.
const kept = { pair: null, language: "", below: [], body: [], shown: -1, redraw: null };

function describePair(pair, redraw) {
  kept.shown = currentRun();
  kept.redraw = redraw;
  if (kept.pair !== pair || kept.language !== language) {
    Object.assign(kept, { pair, language, below: [filmStrip(pair), timeline(scoresInOrder(pair), page.range, { autofocus: true })], body: [
      make("dl", { class: "texts" }, textBlock(t("instruction"), pair.instruction, "instruction")), scoresBlock(pair)] });
  }
  stageChoice.right = placeOf.get(kept.shown) + 1;
  preloadAround(pair);
  return {
    key: pairKey(pair),
    heading: [
      make("bdi", { class: "name" }, pair.pair_id), " ",
      make("bdi", { class: "category" }, pair.category), " ",
      make("span", { class: "card-score" }, scoreOrReason(pair, kept.shown)),
    ],
    pictures: pairPictures(pair),
    choosePicture(edge, index) {
      if (edge === "right" && index > 0) chooseRun(order[index - 1]);
      else stageChoice[edge] = index;
      redraw(`[data-edge="${edge}"]`);
    },
    below: kept.below,
    body: kept.body,
    onKey: runKey,
  };
}

const pairPictures = (pair) => [sourceOf(pair), ...order.map((number) => editIn(pair, number))];

// Shows another run of the pair that is open, and replaces as little as possible.
function showInDetail(pair, number) {
  const holder = document.querySelector("dialog.detail[open]");
  if (!holder || !swapRight(holder, pairPictures(pair), placeOf.get(number) + 1)) {
    kept.redraw();
    return;
  }
  kept.shown = number;
  holder.querySelector(".card-score").replaceChildren(scoreOrReason(pair, number));
  preloadAround(pair);
}

// The edits of the runs next to the current one, so that they are there when the slider moves.
function preloadAround(pair) {
  const place = placeOf.get(kept.shown);
  for (const number of [order[place + 1], order[place - 1]].filter(isKnown)) {
    const url = pictureUrlOf(editIn(pair, number));
    if (url) new Image().src = url;
  }
}

function filmStrip(pair) {
  const buttons = order.map((number) => {
    const edit = editIn(pair, number);
    return make("button", {
      type: "button", class: "frame", "aria-label": pairText(pair, number), on: { click: () => chooseRun(number) },
    },
      make("span", { class: "picture" }, pictureOf({ ...edit, full: null })),
      make("span", { class: "frame-name" }, make("bdi", {}, shortName(runs[number])),
        make("b", {}, isKnown(scoreIn(pair, number)) ? scoreText(scoreIn(pair, number)) : NOTHING)));
  });
  const strip = make("div", { class: "film" }, buttons);
  const revealCurrent = () => reveal(strip, buttons[placeOf.get(currentRun())]);
  queueMicrotask(revealCurrent);
  return follow(strip, (number) => {
    buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(order[place] === number)));
    if (!strip.isConnected) return;
    revealCurrent();
    if (kept.shown !== number) showInDetail(pair, number);
  });
}

// Where the texts scroll beside the pictures, so that the row is seen.
function revealDown(body, row) {
  if (body.scrollHeight <= body.clientHeight) return;
  const [box, of] = [row.getBoundingClientRect(), body.getBoundingClientRect()];
  if (box.top < of.top) body.scrollTop += box.top - of.top - 8;
  else if (box.bottom > of.bottom) body.scrollTop += box.bottom - of.bottom + 8;
}

function pairText(pair, number) {
  const score = scoreIn(pair, number);
  return `${stepText(runs[number])}: ${isKnown(score) ? scoreText(score) : reasonIn(pair, number)}`;
}

// Run by run: the score, the change since the run before (without steps, since the best), or why there is no score.
function scoresBlock(pair) {
  const rows = order.map((number) => {
    const run = runs[number];
    const { gallery } = page.runs[number];
    const since = series.by_step ? run.previous?.run : run.best?.run;
    const change = isKnown(since) ? changeOf(pair, since, number) : null;
    const name = make("bdi", {}, shortName(run));
    const row = make("tr", {},
      make("th", { scope: "row" }, make("button", { type: "button", class: "plain", on: { click: () => chooseRun(number) } },
        name)),
      statusIn(pair, number) === "scored"
        ? [make("td", {}, scoreLine(scoreIn(pair, number))), make("td", {}, scoreText(scoreIn(pair, number))),
          make("td", { class: "quiet" }, isKnown(change) ? signedText(change) : "")]
        : make("td", { class: `reason ${statusIn(pair, number)}`, colspan: 3, dir: "auto" }, reasonIn(pair, number)),
      make("td", {}, gallery && make("a", {
        href: `${gallery}#${new URLSearchParams({ pair: pairKey(pair) })}`, target: "_blank", rel: "noopener",
        "aria-label": `${t("open.run")}: ${nameOf(run)}`, title: t("open.run"),
      }, "↗")));
    return follow(row, (current) => {
      row.classList.toggle("current", current === number);
      if (current === number && row.isConnected) revealDown(row.closest(".detail-body"), row);
    });
  });
  return make("section", { class: "block" },
    make("h3", {}, t(series.by_step ? "scores.by.step" : "scores")),
    make("table", { class: "pair-scores" }, make("tbody", {}, rows)));
}
