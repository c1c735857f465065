/** What `@understudy/sdk/openfeature` is: providers for OpenFeature's SDKs for servers and for pages. */
export { UnderstudyProvider } from './openfeature-provider.ts';
export type { TrackedFacts } from './openfeature-provider.ts';
export { UnderstudyWebProvider } from './openfeature-web-provider.ts';
export { ProviderEvents } from './provider-events.ts';
export type { ProviderEvent, ProviderEventDetails, ProviderLogger } from './provider-events.ts';
export { ResolutionError } from './provider-resolution.ts';
export type { ProviderContext, Resolution } from './provider-resolution.ts';
