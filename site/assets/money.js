// Lets a reader change the demand of a break-even: applies it to the cost lines that came with the page
// (economics/fleet.py) and fills the page's own sentences. Finds the crossing as economics/break_even.py does.
"use strict";

(function () {
  const HOURS_A_DAY = 24;
  const DAYS_A_MONTH = 365 / 12;
  const WHOLE = 1e-9;
  const POINTS = 240;

  const rounded = (value, decimals) =>
    value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  const volume = (value) => rounded(value, 0);

  // As core.units.human_number.
  const number = (value, digits) =>
    value >= 999.5 ? rounded(value, 0) : value.toLocaleString("en-US", { maximumSignificantDigits: digits });

  // As presentation.dollars.write_usd.
  function usd(value) {
    if (value === 0) return "$0";
    if (value >= 1000) return "$" + rounded(value, 0);
    if (value < 1e-9) return "under $0.000000001";
    const power = Number(value.toExponential(2).split("e")[1]);
    return "$" + rounded(value, Math.max(2, 2 - power));
  }

  function peakOf(demand) {
    if (demand.shares) {
      const total = demand.shares.reduce((sum, one) => sum + one, 0);
      return Math.max(...demand.shares) * HOURS_A_DAY / total;
    }
    const window = demand.active_hours ? HOURS_A_DAY / demand.active_hours : 1;
    return Math.max(demand.peak_to_mean, window);
  }

  // A stored line under a demand: a day's dollars over requests a day.
  function costLine(lines, demand) {
    const line = lines[demand.assumption];
    const step = line.step_usd + line.step_hour_usd * (demand.active_hours ?? HOURS_A_DAY);
    return {
      fixed: line.day_usd + (line.by_hour ? 0 : demand.spare_replicas * step), step,
      requests: line.by_hour ? line.step_requests : line.step_requests / peakOf(demand),
      request: line.request_usd, unit: line.unit, byHour: line.by_hour,
    };
  }

  const stepsOf = (line, requests) => Math.ceil(requests / line.requests - WHOLE);
  const costOf = (line, requests) =>
    line.fixed + line.step * stepsOf(line, requests) + line.request * requests;

  // Where serving begins to cost no more on a step; its end where it never does on it.
  const startOf = (line, saved, step) =>
    Math.min((line.fixed + step * line.step) / saved, step * line.requests);

  // at: the volume from which serving costs no more ever after (null: never, and reason says why);
  // before: the first range below it where it is cheaper too, and how many more there are.
  function crossing(line, price, texts) {
    const saved = price - line.request;
    const full = saved * line.requests;
    const gain = full - line.step;
    if (gain <= 0) return { at: null, before: null, more: 0, reason: never(line, price, texts) };
    const last = Math.max(0, Math.ceil((line.fixed + full) / gain - WHOLE) - 1);
    const first = Math.max(1, Math.floor(line.fixed / gain + WHOLE) + 1);
    const before = first < last
      ? { start: startOf(line, saved, first), end: first * line.requests } : null;
    return { at: last ? startOf(line, saved, last) : 0, before, more: Math.max(0, last - first - 1) };
  }

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

  function never(line, price, texts) {
    if (line.request >= price) {
      return fill(texts.never_by_request, { own: usd(line.request), buy: usd(price) });
    }
    const full = line.step + line.request * line.requests;
    return fill(texts.never_by_step, {
      unit: line.unit, own: usd(full), requests: volume(line.requests),
      buy: usd(price * line.requests),
    });
  }

  function requestsOf(kind, amount, bought) {
    switch (kind) {
      case "tokens_a_day": return bought.tokens_per_request ? amount / bought.tokens_per_request : null;
      case "api_bill_usd_a_day": return amount / bought.usd_per_request;
      case "api_bill_usd_a_month": return amount / DAYS_A_MONTH / bought.usd_per_request;
      default: return amount;
    }
  }

  // 24 counts or shares of requests; null where there are none, or they are not 24.
  function sharesIn(field) {
    const parts = field.value.split(/[\s,]+/).filter((part) => part !== "");
    const shares = parts.map(Number);
    const good = shares.length === HOURS_A_DAY && shares.every((one) => one >= 0) && Math.max(...shares) > 0;
    field.setCustomValidity(parts.length === 0 || good ? "" : "24 numbers, from midnight on");
    return good ? shares : null;
  }

  function demandOf(form) {
    const value = (name) => form.elements[name].value;
    const assumption = value("assumption");
    const hours = Number(value("active_hours"));
    return {
      shares: sharesIn(form.elements.hourly_shares),
      peak_to_mean: Math.max(1, Number(value("peak_to_mean")) || 1),
      spare_replicas: Math.max(0, Math.round(Number(value("spare_replicas")) || 0)),
      assumption,
      active_hours: assumption === "active_window" && hours > 0 ? Math.min(24, hours) : null,
    };
  }

  function sentence(line, found, data) {
    const { names, texts } = data;
    if (found.at === null) return fill(texts.never, { ...names, reason: found.reason });
    const dollars = costOf(line, found.at);
    const settled = fill(texts.settled, {
      ...names, volume: volume(found.at), day: usd(dollars), month: usd(dollars * DAYS_A_MONTH),
    });
    if (found.before === null) return settled;
    return settled + fill(texts.before, {
      start: volume(found.before.start), end: volume(found.before.end), unit: line.unit,
      more: found.more ? fill(texts.more, { count: found.more }) : "",
    });
  }

  function interval(ends, data) {
    const [low, high] = ends.map((end) =>
      end === undefined ? "not known" : end.at === null ? "never" : volume(end.at));
    const same = low === high && ends[0] && ends[0].at ? `; ${data.texts.same}` : "";
    return fill(data.texts.between, { low, high, why: data.varied + same });
  }

  // A month's interval; why: in place of one, or of its width.
  function between(low, high, why, texts) {
    if (low === null) return fill(texts.no_interval, { why });
    return fill(texts.month, { low: usd(low), high: usd(high), why: why ? `, ${why}` : "" });
  }

  function grid(data, found, asked) {
    const middles = [found, asked, data.full_day_requests].filter((one) => one > 0);
    const low = Math.max(1, Math.min(...middles) / 20);
    const high = Math.max(...middles) * 20;
    return Array.from({ length: POINTS }, (_, at) => low * (high / low) ** (at / (POINTS - 1)));
  }

  function computed(data, demand) {
    const price = data.bought.usd_per_request;
    const line = costLine(data.lines.at, demand);
    const at = (lines, usd) => {
      if (lines === null) return undefined;
      if (lines === false) return { at: null };
      return crossing(costLine(lines, demand), usd ?? price, data.texts);
    };
    const found = crossing(line, price, data.texts);
    const ends = interval(
      [at(data.lines.low, data.bought.usd_high), at(data.lines.high, data.bought.usd_low)], data);
    return { line, found: found.at, ends, text: sentence(line, found, data) };
  }

  function rowsOf(data, demand, result, asked) {
    const wide = [data.lines.low || data.lines.at, data.lines.high || data.lines.at]
      .map((lines) => costLine(lines, demand));
    const months = (line, requests) => costOf(line, requests) * DAYS_A_MONTH;
    return grid(data, result.found, asked).map((requests) => ({
      requests,
      serve: months(result.line, requests),
      low: months(wide[0], requests),
      high: months(wide[1], requests),
      buy: data.bought.usd_per_request * requests * DAYS_A_MONTH,
    }));
  }

  function facts(data, demand, result, asked) {
    const line = result.line;
    const steps = stepsOf(line, asked);
    const serve = costOf(line, asked) * DAYS_A_MONTH;
    const month = asked * DAYS_A_MONTH;
    const buy = data.bought.usd_per_request * month;
    const texts = data.texts;
    const at = (lines) => costOf(costLine(lines, demand), asked) * DAYS_A_MONTH;
    const known = data.lines.low && data.lines.high;
    const ends = known ? [at(data.lines.low), at(data.lines.high)] : [null, null];
    const why = !known ? texts.unvaried : ends[0] === ends[1] ? texts.same : "";
    const priced = data.bought.usd_low !== null && data.bought.usd_high !== null;
    const prices = priced ? [data.bought.usd_low * month, data.bought.usd_high * month] : [null, null];
    return {
      requests: volume(asked),
      capacity: line.byHour ? fill(texts.hours, { hours: number(steps, 3) })
        : fill(texts.replicas, { kept: volume(steps + demand.spare_replicas), spare: demand.spare_replicas }),
      serve: usd(serve) + between(...ends, why, texts),
      serve_per_1k: usd(costOf(line, asked) / asked * 1000),
      buy: usd(buy) + between(...prices, data.bought.no_interval, texts),
      buy_per_1k: usd(data.bought.usd_per_request * 1000),
      cheaper: serve <= buy ? data.names.own : data.names.bought,
    };
  }

  async function update(block) {
    const form = block.querySelector("form");
    const data = JSON.parse(block.querySelector("script.plan-data").textContent);
    const amount = Number(form.elements.amount.value);
    const asked = amount > 0 ? requestsOf(form.elements.kind.value, amount, data.bought) : null;
    const demand = demandOf(form);
    form.elements.peak_to_mean.disabled = demand.shares !== null;
    form.elements.active_hours.disabled = demand.assumption !== "active_window";
    const result = computed(data, demand);
    block.querySelector(".answer").textContent = result.text;
    block.querySelector(".interval").textContent = result.ends;
    const shown = asked ? facts(data, demand, result, asked) : {};
    block.querySelector(".facts").hidden = !asked;
    block.querySelector(".hint").hidden = Boolean(asked);
    for (const cell of block.querySelectorAll("[data-fact]")) {
      cell.textContent = shown[cell.dataset.fact] ?? "–";
    }
    const script = block.querySelector("script.spec");
    if (script && window.observatory) {
      const spec = JSON.parse(script.textContent);
      const marks = [
        { at: result.found, what: "break-even" }, { at: asked, what: "your volume" },
      ].filter((mark) => mark.at > 0);
      const rows = rowsOf(data, demand, result, asked);
      spec.datasets = { costs: rows, marks };
      for (const layer of spec.layer) {
        layer.encoding.x.scale.domain = [rows[0].requests, rows[rows.length - 1].requests];
      }
      await window.observatory.draw(script.closest("figure"), spec);
    }
    block.dataset.updated = String(Number(block.dataset.updated ?? 0) + 1);
  }

  for (const block of document.querySelectorAll(".plan")) {
    const form = block.querySelector("form");
    form.hidden = false;
    form.addEventListener("input", () => update(block));
    form.addEventListener("submit", (event) => event.preventDefault());
  }
})();
