// Draws, sorts and filters what the tables hold. The page is whole without it.
(function () {
  'use strict';
  document.documentElement.classList.add('js');
  const $ = (id) => document.getElementById(id);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
  const number = (text) => (text === undefined || text === '' ? null : Number(text));
  const rowsOf = (table) => Array.from(table.tBodies[0].rows);

  // Sorting: a head's button sorts by its column, once more turns it around. Unknown comes last.
  function valueOf(row, column) {
    const cell = row.cells[column];
    if (!cell.classList.contains('n')) return cell.textContent.toLowerCase();
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const plain = parseFloat(cell.textContent);
    return Number.isNaN(plain) ? null : plain;
  }
  function sort(table, column) {
    const head = table.tHead.rows[0].cells[column];
    const isNumber = head.classList.contains('n');
    const was = head.getAttribute('aria-sort');
    const down = was === null || was === 'none' ? isNumber : was === 'ascending';
    for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const rows = rowsOf(table).map((row, at) => ({ row, at, value: valueOf(row, column) }));
    rows.sort((a, b) => {
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null) || a.at - b.at;
      const order = isNumber ? a.value - b.value : a.value.localeCompare(b.value);
      return (down ? -order : order) || a.at - b.at;
    });
    table.tBodies[0].append(...rows.map((one) => one.row));
  }
  for (const table of document.querySelectorAll('table')) {
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      head.querySelector('button').addEventListener('click', () => sort(table, column));
    });
  }

  // Filtering: every word must occur in the row.
  for (const input of document.querySelectorAll('input[data-table]')) {
    const table = $(input.dataset.table);
    const count = document.querySelector('output[for="' + input.id + '"]');
    const filter = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rowsOf(table)) {
        const text = row.textContent.toLowerCase() + ' ' + (row.dataset.kind || '');
        row.hidden = !words.every((word) => text.includes(word));
        if (!row.hidden) ++shown;
      }
      count.textContent = words.length ? shown + ' of ' + rowsOf(table).length : '';
    };
    input.addEventListener('input', filter);
    filter();
  }

  window.addEventListener('beforeprint', () => {
    for (const details of document.querySelectorAll('details')) details.open = true;
  });

  const data = JSON.parse($('data').textContent);
  if (typeof Chart === 'undefined') return;
  const charts = [];
  const si = (value, unit) => {
    const prefixes = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
    let at = 0;
    while (Math.abs(value) >= 1000 && at + 1 < prefixes.length) { value /= 1000; ++at; }
    return Number(value.toPrecision(3)) + ' ' + prefixes[at] + unit;
  };
  const isPower = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;
  const axis = (title, more) => Object.assign({
    title: { display: true, text: title, color: colour('soft') },
    grid: { color: colour('line') },
    ticks: { color: colour('soft') },
  }, more);
  const logTicks = (unit, text) => ({
    color: colour('soft'), maxRotation: 0, autoSkip: false,
    callback: (value) => (isPower(value) ? (unit === '' ? text(value) : si(value, unit)) : ''),
  });
  const base = () => ({
    responsive: true, maintainAspectRatio: false, animation: false,
    interaction: { mode: 'nearest', intersect: true },
    plugins: { legend: { labels: { color: colour('text'), boxWidth: 12 } } },
  });

  function drawCourse(canvas) {
    const points = data.course;
    const at = (key, scale) => points.map((p) => ({ x: p.first_step, y: p[key] === null ? null : p[key] * scale }));
    const line = (label, key, scale, name, more) => Object.assign({
      label, data: at(key, scale), borderColor: colour(name), backgroundColor: colour(name),
      pointRadius: points.length > 60 ? 0 : 2, borderWidth: 2, tension: 0,
    }, more);
    const first = number(canvas.dataset.first);
    const options = base();
    options.interaction = { mode: 'index', intersect: false };
    options.scales = {
      x: axis('step', { type: 'linear', min: points[0].first_step, max: points[points.length - 1].last_step,
        ticks: { color: colour('soft'), precision: 0 } }),
      y: axis('MFU %', { beginAtZero: true }),
      ms: axis('step ms', { position: 'right', beginAtZero: true, grid: { drawOnChartArea: false } }),
    };
    options.plugins.legend.labels.filter = (item) => item.text !== 'highest';
    const warmUp = {
      id: 'warmUp',
      beforeDatasetsDraw(chart) {
        if (!first) return;
        const { ctx, chartArea: area, scales } = chart;
        ctx.save();
        ctx.fillStyle = colour('idle');
        ctx.globalAlpha = 0.35;
        const end = Math.min(scales.x.getPixelForValue(first), area.right);
        ctx.fillRect(area.left, area.top, end - area.left, area.bottom - area.top);
        ctx.restore();
      },
    };
    const band = { borderWidth: 0, pointRadius: 0, backgroundColor: colour('below') + '66' };
    return new Chart(canvas, {
      type: 'line', options, plugins: [warmUp],
      data: { datasets: [
        line('MFU, median over ranks', 'mfu_median', 100, 'useful', { order: 0 }),
        line('lowest to highest rank', 'mfu_min', 100, 'below', Object.assign({ fill: '+1', order: 2 }, band)),
        line('highest', 'mfu_max', 100, 'below', Object.assign({ fill: false, order: 2 }, band)),
        line('step ms, median', 'step_median_ns', 1e-6, 'soft',
          { yAxisID: 'ms', borderWidth: 1, borderDash: [4, 3], pointRadius: 0, order: 1 }),
      ] },
    });
  }

  // Dots from the rows of a table; hovering one lights the other.
  function dotsOf(table) {
    const rows = rowsOf(table).filter((row) => number(row.dataset.x) > 0 && number(row.dataset.y) > 0);
    const most = Math.max(1, ...rows.map((row) => number(row.dataset.t) || 0));
    return rows.map((row) => ({
      row, x: number(row.dataset.x), y: number(row.dataset.y),
      r: 3 + 15 * Math.sqrt((number(row.dataset.t) || 0) / most),
    }));
  }
  function link(chart, dataset, dots) {
    dots.forEach((dot, index) => {
      dot.row.addEventListener('mouseenter', () => {
        chart.setActiveElements([{ datasetIndex: dataset, index }]);
        chart.tooltip.setActiveElements([{ datasetIndex: dataset, index }], { x: 0, y: 0 });
        chart.update();
      });
      dot.row.addEventListener('mouseleave', () => {
        chart.setActiveElements([]);
        chart.tooltip.setActiveElements([], { x: 0, y: 0 });
        chart.update();
      });
    });
    chart.options.onHover = (event, active) => {
      dots.forEach((dot) => dot.row.classList.remove('lit'));
      for (const one of active) if (one.datasetIndex === dataset) dots[one.index].row.classList.add('lit');
    };
  }
  const nameOf = (dot) => dot.row.cells[0].textContent;

  function drawRoofline(canvas) {
    const dots = dotsOf($('ops-table'));
    const roofs = $('roof-table') ? rowsOf($('roof-table')) : [];
    const above = (dot) => {
      const peak = number(dot.row.dataset.peak), bw = number(dot.row.dataset.bw);
      return peak && bw && dot.y > 1.02 * Math.min(peak, bw * dot.x);
    };
    const xs = dots.map((dot) => dot.x).concat(roofs.map((r) => number(r.dataset.peak) / number(r.dataset.bw)));
    const min = 10 ** Math.floor(Math.log10(Math.min(...xs)) - 0.15);
    const max = 10 ** Math.ceil(Math.log10(Math.max(...xs)) + 0.15);
    const names = ['roof', 'wait', 'other', 'memory', 'soft'];
    const datasets = [{
      label: 'operations', data: dots, type: 'bubble', order: 0,
      backgroundColor: dots.map((dot) => (dot.row.dataset.bound ? 'transparent'
        : (above(dot) ? colour('bad') : colour('useful')) + 'b0')),
      borderColor: dots.map((dot) => (above(dot) ? colour('bad') : colour('useful'))), borderWidth: 1.5,
    }];
    roofs.forEach((roof, i) => {
      const peak = number(roof.dataset.peak), bw = number(roof.dataset.bw), ridge = peak / bw;
      datasets.push({
        label: roof.dataset.name + ' ' + si(peak, 'FLOP/s'), type: 'line', order: 1,
        data: [{ x: min, y: min * bw }, { x: ridge, y: peak }, { x: Math.max(max, ridge), y: peak }],
        borderColor: colour(names[i % names.length]), backgroundColor: colour(names[i % names.length]),
        borderWidth: 2, borderDash: i ? [7, 3] : [], pointRadius: [0, 4, 0], pointHitRadius: 6, tension: 0,
      });
    });
    const options = base();
    options.scales = {
      x: axis('FLOP per byte', { type: 'logarithmic', min, max, ticks: logTicks('', (v) => v) }),
      y: axis('FLOP/s', { type: 'logarithmic', ticks: logTicks('FLOP/s'),
        max: 1.3 * Math.max(...dots.map((d) => d.y), ...roofs.map((r) => number(r.dataset.peak))) }),
    };
    options.plugins.tooltip = { callbacks: { label: (item) => (item.datasetIndex === 0
      ? [nameOf(item.raw), si(item.raw.y, 'FLOP/s') + ' at ' + Number(item.raw.x.toPrecision(3)) + ' FLOP/B',
        item.raw.row.cells[8].textContent + ' % of its roofline']
      : item.dataset.label + (item.dataIndex === 1 ? ', ridge at ' + Number(item.raw.x.toPrecision(3)) + ' FLOP/B' : '')) } };
    const chart = new Chart(canvas, { type: 'bubble', data: { datasets }, options });
    link(chart, 0, dots);
    return chart;
  }

  function drawCommunication(canvas) {
    const dots = dotsOf($('comm-table'));
    if (dots.length === 0) { canvas.parentNode.style.display = 'none'; return null; }
    const options = base();
    options.plugins.legend.display = false;
    options.scales = {
      x: axis('mean bytes of a call', { type: 'logarithmic', ticks: logTicks('B'),
        min: 10 ** Math.floor(Math.log10(Math.min(...dots.map((d) => d.x))) - 0.1),
        max: 10 ** Math.ceil(Math.log10(Math.max(...dots.map((d) => d.x))) + 0.1) }),
      y: axis('bus bandwidth', { beginAtZero: true,
        ticks: { color: colour('soft'), callback: (value) => si(value, 'B/s') } }),
    };
    options.plugins.tooltip = { callbacks: { label: (item) =>
      [nameOf(item.raw), si(item.raw.y, 'B/s') + ', ' + si(item.raw.x, 'B') + ' a call'] } };
    const chart = new Chart(canvas, {
      type: 'bubble', options,
      data: { datasets: [{ data: dots, backgroundColor: colour('transfer') + 'a0', borderColor: colour('transfer') }] },
    });
    link(chart, 0, dots);
    return chart;
  }

  function draw() {
    while (charts.length) charts.pop().destroy();
    for (const [id, make] of [['course-chart', drawCourse], ['roof-chart', drawRoofline],
      ['comm-chart', drawCommunication]]) {
      const canvas = $(id);
      const chart = canvas && make(canvas);
      if (chart) charts.push(chart);
    }
  }
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  draw();
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
})();
