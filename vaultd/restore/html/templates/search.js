"use strict";
(() => {
  const texts = JSON.parse(document.getElementById("texts").textContent);
  const field = document.getElementById("q");
  const found = document.getElementById("found");
  const count = document.getElementById("count");
  const most = 200;
  const small = texts.map((each) => each[3].toLowerCase());
  const piece = (tag, text, name) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const look = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    found.replaceChildren();
    count.textContent = "";
    if (!words.length) return;
    let number = 0;
    texts.forEach((each, at) => {
      if (!words.every((word) => small[at].includes(word))) return;
      number += 1;
      if (number > most) return;
      const item = document.createElement("li");
      const link = piece("a", each[1] || "without a date");
      link.href = each[0];
      const start = Math.max(0, small[at].indexOf(words[0]) - 60);
      const shown = (start ? "…" : "") + each[3].slice(start, start + 220);
      const text = piece("div", shown);
      text.dir = "auto";
      item.append(link, " ", piece("small", each[2]), text);
      found.append(item);
    });
    count.textContent = number > most ? `${number} found, the first ${most} shown` : `${number} found`;
  };
  let waiting = 0;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(look, 120);
  });
  // search.html#word looks for a word at once.
  try {
    field.value = decodeURIComponent(location.hash.slice(1));
  } catch {
    field.value = "";
  }
  look();
})();
