// Charts: ECharts from the figures in the page, in the colours of the stylesheet, the tooltip drawn on the canvas
// because the content policy allows no inline styles.
(() => {
  const charts = new Map();
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const figures = (element) => JSON.parse(document.getElementById(element.dataset.chart).textContent);
  const written = (unit) => (value) => (value === null || value === undefined ? "–" : `${Number(value).toLocaleString(undefined, { maximumFractionDigits: 2 })}${unit ? ` ${unit}` : ""}`);

  const series = (chart, item, index) => {
    const colour = item.tone ? token(item.tone) : token(`series-${(index % 6) + 1}`);
    const points = chart.time ? chart.x.map((at, position) => [at, item.data[position]]) : item.data;
    return {
      name: item.name, type: chart.kind === "bar" ? "bar" : "line", data: points, color: colour,
      showSymbol: item.data.filter((value) => value !== null).length < 2, symbolSize: 6, lineStyle: { width: 2 }, barMaxWidth: 18,
      areaStyle: chart.kind === "area" ? { opacity: 0.1 } : undefined,
      markLine: index === 0 && chart.limit ? {
        silent: true, symbol: "none", lineStyle: { color: token("attention"), type: "dashed" },
        label: { formatter: chart.limit.name, color: token("attention"), position: "insideEndTop" }, data: [{ yAxis: chart.limit.value }],
      } : undefined,
    };
  };
  const option = (chart) => {
    const text = { color: token("ink-3"), fontSize: 11, fontFamily: getComputedStyle(document.body).fontFamily };
    return {
      animation: !matchMedia("(prefers-reduced-motion: reduce)").matches, animationDuration: 200, aria: { enabled: true },
      textStyle: text, grid: { left: 8, right: 12, top: 30, bottom: 4, containLabel: true },
      legend: { top: 0, left: 0, icon: "roundRect", itemWidth: 10, itemHeight: 3, textStyle: { ...text, color: token("ink-2") } },
      tooltip: { trigger: "axis", renderMode: "richText", confine: true, valueFormatter: written(chart.unit), backgroundColor: token("surface"), borderColor: token("line-strong"), textStyle: { ...text, color: token("ink"), fontSize: 12 }, axisPointer: { lineStyle: { color: token("line-strong") } } },
      xAxis: { type: chart.time ? "time" : "category", data: chart.time ? undefined : chart.x, axisLine: { lineStyle: { color: token("line-strong") } }, axisTick: { show: false }, axisLabel: { ...text, hideOverlap: true }, splitLine: { show: false } },
      yAxis: { type: "value", min: chart.kind === "bar" ? 0 : undefined, axisLabel: { ...text }, splitLine: { lineStyle: { color: token("line") } } },
      series: chart.series.map((item, index) => series(chart, item, index)),
    };
  };
  const draw = () => {
    for (const [element, chart] of charts) {
      if (element.isConnected) continue;
      chart.dispose();
      charts.delete(element);
    }
    for (const element of document.querySelectorAll("[data-chart]")) {
      if (!charts.has(element)) {
        const chart = echarts.init(element, null, { renderer: "canvas" });
        new ResizeObserver(() => chart.resize()).observe(element);
        charts.set(element, chart);
      }
      charts.get(element).setOption(option(figures(element)), { notMerge: true });
    }
  };
  const save = (name, type, href) => Object.assign(document.createElement("a"), { download: `${name}.${type}`, href }).click();
  const csv = (chart) => {
    const quoted = (value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
    const rows = chart.x.map((at, index) => [at, ...chart.series.map((item) => item.data[index])]);
    return [["x", ...chart.series.map((item) => item.name)], ...rows].map((row) => row.map(quoted).join(",")).join("\r\n");
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-chart-export]");
    if (!button) return;
    const element = document.getElementById(`chart-${button.dataset.chartName}`);
    if (button.dataset.chartExport === "png") {
      save(button.dataset.chartName, "png", charts.get(element).getDataURL({ pixelRatio: 2, backgroundColor: token("surface") }));
    } else {
      save(button.dataset.chartName, "csv", URL.createObjectURL(new Blob([csv(figures(element))], { type: "text/csv" })));
    }
  });
  document.addEventListener("theme-changed", draw);
  document.addEventListener("htmx:afterSettle", draw);
  draw();
})();
