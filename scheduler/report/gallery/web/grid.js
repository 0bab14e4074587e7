// Cards in rows. Only those near the screen exist, so ten thousand cost no more than fifty.
// All cards have the same height (the style sheet gives every part of them a fixed number of lines).

const GRID = { gap: 20, narrowest: 360, ahead: 2, mostPrinted: 200 };

// `narrowest()` is the least width of a card.
function createGrid(draw, open, narrowest = () => GRID.narrowest) {
  const rows = make("div", { class: "rows" });
  const holder = make("div", { class: "grid", role: "feed" }, rows);
  const cards = new Map();
  let items = [];
  let columns = 1;
  let rowHeight = 0;
  let active = 0;
  let width = 0;
  let printing = false;

  function card(index) {
    const node = draw(items[index]);
    node.dataset.index = index;
    node.setAttribute("aria-posinset", index + 1);
    node.setAttribute("aria-setsize", items.length);
    node.tabIndex = index === active ? 0 : -1;
    cards.set(index, node);
    return node;
  }

  function measure() {
    width = holder.clientWidth;
    columns = Math.max(1, Math.floor((width + GRID.gap) / (narrowest() + GRID.gap)));
    rows.style.setProperty("--columns", columns);
    if (!items.length) {
      rowHeight = 0;
      holder.style.height = "";
      return;
    }
    const probe = cards.values().next().value ?? rows.appendChild(card(0));
    rowHeight = probe.getBoundingClientRect().height + GRID.gap;
    holder.style.height = `${Math.ceil(items.length / columns) * rowHeight - GRID.gap}px`;
  }

  function clear() {
    cards.clear();
    rows.replaceChildren();
  }

  function update() {
    if (printing || !items.length) return;
    const top = holder.getBoundingClientRect().top;
    const all = Math.ceil(items.length / columns);
    const firstRow = Math.min(Math.max(0, Math.floor(-top / rowHeight) - GRID.ahead), all - 1);
    const lastRow = Math.max(firstRow, Math.min(all - 1, Math.ceil((innerHeight - top) / rowHeight) + GRID.ahead));
    const first = firstRow * columns;
    const end = Math.min(items.length, (lastRow + 1) * columns);
    for (const [index, node] of cards) {
      if (index >= first && index < end) continue;
      node.remove();
      cards.delete(index);
    }
    // The remaining cards are contiguous, so new cards come before or after them, and no card moves.
    const before = [];
    const after = [];
    const known = cards.size ? Math.min(...cards.keys()) : end;
    for (let index = first; index < end; index += 1) {
      if (!cards.has(index)) (index < known ? before : after).push(card(index));
    }
    rows.prepend(...before);
    rows.append(...after);
    rows.style.transform = `translateY(${firstRow * rowHeight}px)`;
  }

  function refit() {
    if (printing || holder.clientWidth === width) return;
    clear();
    measure();
    update();
  }

  // The height of the controls that stay on top while scrolling.
  function coveredAbove() {
    const bottom = document.querySelector(".tools")?.getBoundingClientRect().bottom ?? 0;
    return Math.max(0, Math.min(bottom, innerHeight / 3)) + 12;
  }

  function show(index, focus) {
    if (index < 0 || index >= items.length) return;
    const old = cards.get(active);
    if (old) old.tabIndex = -1;
    active = index;
    const row = Math.floor(index / columns);
    const kept = coveredAbove();
    const top = holder.getBoundingClientRect().top + row * rowHeight;
    if (top < kept) scrollBy(0, top - kept);
    else if (top + rowHeight > innerHeight) scrollBy(0, Math.min(top - kept, top + rowHeight - innerHeight));
    update();
    const node = cards.get(index);
    if (!node) return;
    node.tabIndex = 0;
    if (focus) node.focus({ preventScroll: true });
  }

  rows.addEventListener("click", (event) => {
    const node = event.target.closest(".card");
    if (!node || event.target.closest("a, button") || String(getSelection())) return;
    show(Number(node.dataset.index), true);
    open(active);
  });
  rows.addEventListener("focusin", (event) => {
    const index = Number(event.target.closest(".card")?.dataset.index ?? active);
    if (index === active) return;
    const old = cards.get(active);
    if (old) old.tabIndex = -1;
    active = index;
    cards.get(active).tabIndex = 0;
  });
  rows.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !event.target.classList.contains("card")) return;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    const ends = { Home: 0, End: items.length - 1 };
    if (event.key in steps) show(active + steps[event.key], true);
    else if (event.key in ends) show(ends[event.key], true);
    else if (event.key === "Enter") open(active);
    else return;
    event.preventDefault();
  });

  addEventListener("scroll", oncePerFrame(update), { passive: true });
  new ResizeObserver(oncePerFrame(refit)).observe(holder);
  addEventListener("resize", oncePerFrame(update));
  addEventListener("beforeprint", () => {
    printing = true;
    clear();
    holder.classList.add("printed");
    for (let index = 0; index < Math.min(items.length, GRID.mostPrinted); index += 1) rows.append(card(index));
  });
  addEventListener("afterprint", () => {
    printing = false;
    holder.classList.remove("printed");
    clear();
    measure();
    update();
  });

  return {
    holder,
    show,
    step: (by) => show(Math.min(items.length - 1, Math.max(0, active + by)), true),
    openActive: () => items.length && open(active),
    count: () => items.length,
    item: (index) => items[index],
    set(next) {
      items = next;
      active = 0;
      clear();
      measure();
      // After scrolling far down, show the first of the new cards, not the last.
      const past = holder.getBoundingClientRect().top - coveredAbove();
      if (past < 0) scrollBy(0, past);
      update();
    },
  };
}
