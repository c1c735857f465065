/** Asks /readyz of the process in this container, for HEALTHCHECK: a gateway on its own port, every other role on that of the control plane. */
// oxlint-disable-next-line no-restricted-properties -- it runs alone in the image, beside the program and its config.ts
const { UNDERSTUDY_ROLE: role, UNDERSTUDY_CONTROL_PORT: controlPort, UNDERSTUDY_GATEWAY_PORT: gatewayPort } = process.env;

const port = role === 'gateway' ? (gatewayPort ?? '7071') : (controlPort ?? '7070');
const { status } = await fetch(`http://127.0.0.1:${port}/readyz`);
if (status !== 200) throw new Error(`the check of port ${port} failed: /readyz answered ${status}, not 200`);
