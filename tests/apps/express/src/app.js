const express = require('express');
const { METRES, convert } = require('./units');

function createApp() {
  const app = express();
  app.disable('x-powered-by');
  app.use(express.json());

  app.get('/healthz', (req, res) => res.json({ status: 'ok' }));

  app.get('/units', (req, res) => {
    res.json({ units: Object.keys(METRES) });
  });

  app.get('/convert/:value/:from/:to', (req, res) => {
    const { from, to } = req.params;
    const value = Number(req.params.value);
    if (!Number.isFinite(value) || !(from in METRES) || !(to in METRES)) {
      return res.status(400).json({ error: 'unknown unit or not a number' });
    }
    return res.json({ value: convert(value, from, to), unit: to });
  });

  return app;
}

module.exports = { createApp };
