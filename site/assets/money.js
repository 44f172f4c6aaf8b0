// Lets a reader change what a break-even was computed for: the same arithmetic as the observatory's own
// (economics/fleet.py and break_even.py), on the measured figures that came with the page.
"use strict";

(function () {
  const HOURS_A_DAY = 24;
  const SECONDS_A_DAY = 86400;
  const DAYS_A_MONTH = 365 / 12;
  const WHOLE = 1e-9;
  const POINTS = 240;

  const rounded = (value, decimals) =>
    value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  const volume = (value) => rounded(value, 0);

  // As Python writes a number with so many significant digits (format "g").
  function general(value, digits) {
    if (value === 0) return "0";
    const [mantissa, power] = value.toExponential(digits - 1).split("e");
    const exponent = Number(power);
    if (exponent < -4 || exponent >= digits) {
      const size = String(Math.abs(exponent)).padStart(2, "0");
      return `${Number(mantissa)}e${exponent < 0 ? "-" : "+"}${size}`;
    }
    return String(Number(value.toPrecision(digits)));
  }

  function usd(value) {
    if (value === 0) return "$0";
    if (value >= 1000) return "$" + rounded(value, 0);
    if (value >= 0.9995) return "$" + rounded(value, 2);
    if (value < 1e-9) return "under $0.000000001";
    return "$" + value.toFixed(2 - Math.floor(Math.log10(value)));
  }

  function peakOf(demand) {
    if (demand.shares) {
      const total = demand.shares.reduce((sum, one) => sum + one, 0);
      return Math.max(...demand.shares) * HOURS_A_DAY / total;
    }
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

  // Where serving begins to cost no more on a step; its end where it never does on it.
  const startOf = (line, saved, step) =>
    Math.min((line.fixed + step * line.step) / saved, step * line.requests);

  // at: the volume from which serving costs no more ever after (null: never, and reason says why);
  // before: the first range below it where it is cheaper too, and how many more there are.
  function crossing(line, price) {
    const saved = price - line.request;
    const full = saved * line.requests;
    const gain = full - line.step;
    if (gain <= 0) return { at: null, before: null, more: 0, reason: never(line, price) };
    const last = Math.max(0, Math.ceil((line.fixed + full) / gain - WHOLE) - 1);
    const first = Math.max(1, Math.floor(line.fixed / gain + WHOLE) + 1);
    const before = first < last
      ? { start: startOf(line, saved, first), end: first * line.requests } : null;
    return { at: last ? startOf(line, saved, last) : 0, before, more: Math.max(0, last - first - 1) };
  }

  function never(line, price) {
    if (line.request >= price) {
      return `the electricity of a request alone costs $${general(line.request, 3)}, ` +
        `buying it $${general(price, 3)}`;
    }
    const full = line.step + line.request * line.requests;
    return `a ${line.unit} costs $${general(full, 4)} a day, and all that it can serve ` +
      `(${volume(line.requests)} requests a day) costs $${general(price * line.requests, 4)} to buy`;
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

  function sentence(line, found, names) {
    if (found.at === null) {
      return `Serving it on ${names.self} never gets cheaper than buying it from ` +
        `${names.bought}${names.mark}: ${found.reason}.`;
    }
    const dollars = costOf(line, found.at);
    const settled = `From ${volume(found.at)} requests a day on, serving it on ${names.self} costs no ` +
      `more than buying it from ${names.bought}, and it stays so${names.mark}. There both cost ` +
      `$${rounded(dollars, 2)} a day ($${rounded(dollars * DAYS_A_MONTH, 0)} a month).`;
    if (found.before === null) return settled;
    const more = found.more ? ` and ${found.more} more` : "";
    return `${settled} Below that it is cheaper between ${volume(found.before.start)} and ` +
      `${volume(found.before.end)} requests a day${more}: each further ${line.unit} must fill first.`;
  }

  function interval(ends, data) {
    const words = ends.map((end) =>
      end === undefined ? "not known" : end.at === null ? "never" : volume(end.at));
    const same = words[0] === words[1] && ends[0] && ends[0].at ? `; ${data.same}` : "";
    return `${words[0]} to ${words[1]} requests a day (${data.varied}${same})`;
  }

  // A month's interval; why: in place of one, or of its width.
  function between(low, high, why) {
    if (low === null) return ` (no interval: ${why})`;
    return ` (${usd(low)} to ${usd(high)}${why ? `, ${why}` : ""})`;
  }

  function grid(data, found, asked) {
    const middles = [found, asked, data.replica.goodput_rps * SECONDS_A_DAY].filter((one) => one > 0);
    const low = Math.max(1, Math.min(...middles) / 20);
    const high = Math.max(...middles) * 20;
    return Array.from({ length: POINTS }, (_, at) => low * (high / low) ** (at / (POINTS - 1)));
  }

  function computed(data, demand) {
    const price = data.bought.usd_per_request;
    const line = costLine(data.replica, demand);
    const at = (goodput, usd) => {
      if (goodput === null) return undefined;
      if (goodput <= 0) return { at: null };
      return crossing(costLine({ ...data.replica, goodput_rps: goodput }, demand), usd ?? price);
    };
    const found = crossing(line, price);
    const ends = interval(
      [at(data.goodput_high, data.bought.usd_high), at(data.goodput_low, data.bought.usd_low)], data);
    return { line, found: found.at, ends, text: sentence(line, found, data.names) };
  }

  function rowsOf(data, demand, result, asked) {
    const wide = [data.goodput_high || data.replica.goodput_rps, data.goodput_low || data.replica.goodput_rps]
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
    const month = asked * DAYS_A_MONTH;
    const buy = data.bought.usd_per_request * month;
    const at = (goodput) => costOf(costLine({ ...data.replica, goodput_rps: goodput }, demand), asked);
    const ends = data.goodput_low && data.goodput_high
      ? [data.goodput_high, data.goodput_low].map((goodput) => at(goodput) * DAYS_A_MONTH) : [null, null];
    const why = ends[0] === null ? "the measured goodput has no interval" : ends[0] === ends[1] ? data.same : "";
    const priced = data.bought.usd_low !== null && data.bought.usd_high !== null;
    const prices = priced ? [data.bought.usd_low * month, data.bought.usd_high * month] : [null, null];
    return {
      requests: volume(asked),
      capacity: byHour ? `${general(steps, 3)} replica-hours a day`
        : `${steps + demand.spare_replicas} (${demand.spare_replicas} spare)`,
      serve: usd(serve) + between(...ends, why),
      serve_per_1k: usd(costOf(line, asked) / asked * 1000),
      buy: usd(buy) + between(...prices, data.bought.no_interval),
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
