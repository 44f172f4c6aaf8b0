// Lets a reader change what a break-even was computed for: the same arithmetic as the observatory's own
// (economics/fleet.py and break_even.py), on the measured figures that came with the page.
"use strict";

(function () {
  const HOURS_A_DAY = 24;
  const SECONDS_A_DAY = 86400;
  const DAYS_A_MONTH = 365 / 12;
  const WHOLE = 1e-9;
  const POINTS = 240;

  const number = (value, digits) =>
    value.toLocaleString("en-US", { maximumSignificantDigits: digits ?? 3 });
  const volume = (value) => number(value, value < 1e15 ? Math.max(3, Math.floor(Math.log10(value)) - 2) : 3);
  const usd = (value) => {
    if (value === 0) return "$0";
    if (value >= 1000) return "$" + Math.round(value).toLocaleString("en-US");
    if (value >= 0.9995) return "$" + value.toFixed(2);
    return "$" + value.toFixed(Math.min(12, 2 - Math.floor(Math.log10(value))));
  };

  function peakOf(demand) {
    const window = demand.active_hours ? HOURS_A_DAY / demand.active_hours : 1;
    return Math.max(demand.peak_to_mean, window);
  }

  function costLine(replica, demand) {
    const people = replica.operations_usd_per_hour * HOURS_A_DAY;
    const perJoule = (replica.usd_per_kwh ?? 0) * replica.pue / 3.6e6;
    const kept = replica.idle_power_w ?? replica.power_w ?? 0;
    const known = replica.power_w !== null && replica.idle_power_w !== null && replica.request_rate;
    const joules = known ? Math.max(0, replica.power_w - replica.idle_power_w) / replica.request_rate : 0;
    let request = joules * perJoule;
    const onDemand = replica.commitment === "on_demand";
    if (demand.assumption === "scale_to_zero" && onDemand) {
      return {
        fixed: people, step: replica.usd_per_hour + kept * 3600 * perJoule,
        requests: replica.goodput_rps * 3600, request, unit: "replica-hour",
      };
    }
    let on = demand.active_hours ?? HOURS_A_DAY;
    if (demand.assumption === "scale_to_zero") {
      on = 0;
      request += kept * 3600 * perJoule / (replica.goodput_rps * 3600);
    }
    const paid = demand.active_hours === null || !onDemand ? HOURS_A_DAY : demand.active_hours;
    const step = replica.usd_per_hour * paid + kept * 3600 * perJoule * on;
    return {
      fixed: people + demand.spare_replicas * step, step,
      requests: replica.goodput_rps * SECONDS_A_DAY / peakOf(demand), request, unit: "replica",
    };
  }

  const stepsOf = (line, requests) => Math.ceil(requests / line.requests - WHOLE);
  const costOf = (line, requests) =>
    line.fixed + line.step * stepsOf(line, requests) + line.request * requests;

  // The volume from which serving costs no more than buying ever after; null: never.
  function crossing(line, price) {
    const saved = price - line.request;
    const full = saved * line.requests;
    const gain = full - line.step;
    if (gain <= 0) return null;
    const last = Math.max(0, Math.ceil((line.fixed + full) / gain - WHOLE) - 1);
    if (!last) return 0;
    return Math.min((line.fixed + last * line.step) / saved, last * line.requests);
  }

  function requestsOf(kind, amount, bought) {
    switch (kind) {
      case "tokens_a_day": return bought.tokens_per_request ? amount / bought.tokens_per_request : null;
      case "api_bill_usd_a_day": return amount / bought.usd_per_request;
      case "api_bill_usd_a_month": return amount / DAYS_A_MONTH / bought.usd_per_request;
      default: return amount;
    }
  }

  function demandOf(form) {
    const value = (name) => form.elements[name].value;
    const assumption = value("assumption");
    const hours = Number(value("active_hours"));
    return {
      peak_to_mean: Math.max(1, Number(value("peak_to_mean")) || 1),
      spare_replicas: Math.max(0, Math.round(Number(value("spare_replicas")) || 0)),
      assumption,
      active_hours: assumption === "active_window" && hours > 0 ? Math.min(24, hours) : null,
    };
  }

  function sentence(found, ends, names) {
    if (found === null) {
      return `Serving it on ${names.self} never becomes the cheaper one: all that a step of capacity can ` +
        `serve costs less to buy from ${names.bought} than the step costs to keep.`;
    }
    const known = ends.filter((end) => end !== undefined);
    const range = known.length === 2
      ? known[1] === null
        ? ` (from ${volume(known[0])} on, or never, by the interval of the measured goodput)`
        : ` (${volume(known[0])} to ${volume(known[1])} by the interval of the measured goodput)`
      : "";
    return `From ${volume(found)} requests a day on, serving it on ${names.self} costs no more than ` +
      `buying it from ${names.bought}${range}.`;
  }

  function grid(data, found, asked) {
    const middles = [found, asked, data.replica.goodput_rps * SECONDS_A_DAY].filter((one) => one > 0);
    const low = Math.max(1, Math.min(...middles) / 20);
    const high = Math.max(...middles) * 20;
    return Array.from({ length: POINTS }, (_, at) => low * (high / low) ** (at / (POINTS - 1)));
  }

  function computed(data, demand, asked) {
    const price = data.bought.usd_per_request;
    const line = costLine(data.replica, demand);
    const at = (goodput) => goodput
      ? crossing(costLine({ ...data.replica, goodput_rps: goodput }, demand), price) : undefined;
    const found = crossing(line, price);
    const ends = [at(data.goodput_high), at(data.goodput_low)];
    return { line, found, ends, text: sentence(found, ends.includes(undefined) ? [] : ends, data.names) };
  }

  function rowsOf(data, demand, result, asked) {
    const wide = [data.goodput_high ?? data.replica.goodput_rps, data.goodput_low ?? data.replica.goodput_rps]
      .map((goodput) => costLine({ ...data.replica, goodput_rps: goodput }, demand));
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
    const byHour = line.unit === "replica-hour";
    const serve = costOf(line, asked) * DAYS_A_MONTH;
    const buy = data.bought.usd_per_request * asked * DAYS_A_MONTH;
    return {
      requests: volume(asked),
      capacity: byHour ? `${number(steps)} replica-hours a day`
        : `${steps + demand.spare_replicas} (${demand.spare_replicas} spare)`,
      serve: usd(serve),
      serve_per_1k: usd(costOf(line, asked) / asked * 1000),
      buy: usd(buy),
      buy_per_1k: usd(data.bought.usd_per_request * 1000),
      cheaper: serve <= buy ? data.names.self : data.names.bought,
    };
  }

  async function update(block) {
    const form = block.querySelector("form");
    const data = JSON.parse(block.querySelector("script.plan-data").textContent);
    const amount = Number(form.elements.amount.value);
    const asked = amount > 0 ? requestsOf(form.elements.kind.value, amount, data.bought) : null;
    const demand = demandOf(form);
    form.elements.active_hours.disabled = demand.assumption !== "active_window";
    const result = computed(data, demand, asked);
    block.querySelector(".answer").textContent = result.text;
    const shown = asked ? facts(data, demand, result, asked) : {};
    for (const cell of block.querySelectorAll("[data-fact]")) {
      cell.textContent = shown[cell.dataset.fact] ?? "–";
    }
    const script = block.querySelector("script.spec");
    if (script && window.observatory) {
      const spec = JSON.parse(script.textContent);
      const marks = [
        { at: result.found, what: "break-even" }, { at: asked, what: "your volume" },
      ].filter((mark) => mark.at > 0);
      spec.datasets = { costs: rowsOf(data, demand, result, asked), marks };
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
