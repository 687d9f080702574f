const METRES = { mm: 0.001, cm: 0.01, m: 1, km: 1000, in: 0.0254, ft: 0.3048, mi: 1609.344 };

function convert(value, from, to) {
  return (value * METRES[from]) / METRES[to];
}

module.exports = { METRES, convert };
