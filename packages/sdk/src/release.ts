/** What the SDK calls itself to the server, whose list of SDKs shows it. */
export const SDK_RELEASE = 'understudy-js/0.1.0';
