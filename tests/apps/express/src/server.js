const { createApp } = require('./app');

const port = process.env.PORT || 3000;
const server = createApp().listen(port, () => console.log(`listening on ${port}`));

// Longer than the proxy keeps idle connections.
server.keepAliveTimeout = 75_000;

process.on('SIGTERM', () => server.close(() => process.exit(0)));
