// What changed between two stages: a patience diff over the numbers of their lines.

/** Pairs [i, j] of equal lines of `a` and `b`, in order. */
function matches(a, b) {
  const found = [];
  const stack = [[0, a.length, 0, b.length]];
  while (stack.length) {
    let [a0, a1, b0, b1] = stack.pop();
    while (a0 < a1 && b0 < b1 && a[a0] === b[b0]) found.push([a0++, b0++]);
    while (a0 < a1 && b0 < b1 && a[a1 - 1] === b[b1 - 1]) found.push([--a1, --b1]);
    if (a0 === a1 || b0 === b1) continue;
    const anchors = rising(unique(a, a0, a1, b, b0, b1));
    if (!anchors.length) continue;
    let [i, j] = [a0, b0];
    for (const [x, y] of anchors) {
      stack.push([i, x, j, y]);
      found.push([x, y]);
      [i, j] = [x + 1, y + 1];
    }
    stack.push([i, a1, j, b1]);
  }
  return found.sort((x, y) => x[0] - y[0]);
}

/** Lines that both ranges hold once, in the order of the first. */
function unique(a, a0, a1, b, b0, b1) {
  const seen = new Map();
  const note = (line, side, at) => {
    const entry = seen.get(line) || { a: 0, b: 0 };
    entry[side] += 1;
    entry[`${side}At`] = at;
    seen.set(line, entry);
  };
  for (let i = a0; i < a1; i++) note(a[i], "a", i);
  for (let j = b0; j < b1; j++) note(b[j], "b", j);
  return [...seen.values()].filter((e) => e.a === 1 && e.b === 1).map((e) => [e.aAt, e.bAt]);
}

/** The longest run of pairs whose second numbers rise. */
function rising(pairs) {
  const tails = [];
  const before = new Array(pairs.length).fill(-1);
  pairs.forEach(([, y], i) => {
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pairs[tails[middle]][1] < y) low = middle + 1;
      else high = middle;
    }
    if (low) before[i] = tails[low - 1];
    tails[low] = i;
  });
  const found = [];
  for (let i = tails.length ? tails[tails.length - 1] : -1; i >= 0; i = before[i]) found.push(pairs[i]);
  return found.reverse();
}

/**
 * Two stages side by side: records {kind, left, right} of kind "same", "old", "new" or "both", with the rows or -1.
 * `keys`: what the lines of each define, by which lines that differ are paired; "" for nothing.
 */
function sideBySide(a, b, keys) {
  const records = [];
  let [i, j] = [0, 0];
  for (const [x, y] of [...matches(a, b), [a.length, b.length]]) {
    records.push(...changes([i, x], [j, y], keys));
    if (x < a.length) records.push({ kind: "same", left: x, right: y });
    [i, j] = [x + 1, y + 1];
  }
  return records;
}

function changes([a0, a1], [b0, b1], keys) {
  const records = [];
  const twins = new Map();
  for (let j = b1 - 1; j >= b0; j--) if (keys[1](j)) twins.set(keys[1](j), j);
  let j = b0;
  for (let i = a0; i < a1; i++) {
    const twin = twins.get(keys[0](i)) ?? -1;
    if (twin < j) {
      records.push({ kind: "old", left: i, right: -1 });
      continue;
    }
    for (; j < twin; j++) records.push({ kind: "new", left: -1, right: j });
    records.push({ kind: "both", left: i, right: j++ });
  }
  for (; j < b1; j++) records.push({ kind: "new", left: -1, right: j });
  return records;
}

/** The records with long runs of equal lines folded: {kind: "fold", from, to} in their place. */
function folded(records, open, context = 3) {
  const found = [];
  for (let i = 0; i < records.length; ) {
    let end = i;
    while (end < records.length && records[end].kind === "same") end++;
    const from = i === 0 ? i : i + context;
    const to = end === records.length ? end : end - context;
    if (to - from > 3 && !open.has(from)) {
      found.push(...records.slice(i, from), { kind: "fold", from, to });
      i = to;
      found.push(...records.slice(to, end));
      i = end;
    } else {
      found.push(...records.slice(i, end));
      i = end;
    }
    while (i < records.length && records[i].kind !== "same") found.push(records[i++]);
  }
  return found;
}
