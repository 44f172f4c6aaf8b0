// Draws every chart whose specification stands in the page, and lets SQL be copied.
// Nothing is fetched: library, specifications and colours all came with the page.
"use strict";

(function () {
  const config = document.getElementById("chart-config");
  const tip = document.getElementById("tip");

  function showTip(handler, event, item, value) {
    tip.replaceChildren();
    if (!value || typeof value !== "object") {
      tip.hidden = true;
      return;
    }
    for (const [name, shown] of Object.entries(value)) {
      const line = document.createElement("div");
      const head = document.createElement("span");
      head.textContent = name;
      line.append(head, String(shown));
      tip.append(line);
    }
    tip.hidden = false;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = Math.max(8, Math.min(event.clientX + 14, room)) + "px";
    tip.style.top = event.clientY + 14 + "px";
  }

  function fail(figure, error) {
    const words = document.createElement("p");
    words.className = "missing";
    words.textContent = "This chart could not be drawn; its numbers stand in the table.";
    figure.querySelector(".canvas").replaceWith(words);
    console.error(error);
  }

  async function draw(figure, spec) {
    const options = {
      ast: true,
      actions: false,
      config: JSON.parse(config.textContent),
      defaultStyle: false,
      renderer: "svg",
      tooltip: showTip,
    };
    try {
      await window.vegaEmbed(figure.querySelector(".canvas"), spec, options);
      figure.dataset.drawn = "yes";
    } catch (error) {
      fail(figure, error);
    }
  }

  async function drawAll() {
    for (const script of document.querySelectorAll("script.spec")) {
      await draw(script.closest("figure"), JSON.parse(script.textContent));
    }
    document.documentElement.dataset.drawn = "yes";
  }

  function select(element) {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }

  for (const button of document.querySelectorAll("button.copy")) {
    const text = button.parentElement.querySelector("code");
    button.hidden = false;
    button.addEventListener("click", async () => {
      select(text);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Selected: press Ctrl+C";
      }
    });
  }

  window.observatory = { draw };
  if (config) {
    drawAll();
  } else {
    document.documentElement.dataset.drawn = "yes";
  }
})();
