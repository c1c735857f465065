import type { Provider } from '@openfeature/server-sdk';
import type { Provider as PageProvider } from '@openfeature/web-sdk';
import { openFlags } from './open-flags.ts';
import { openRemoteFlags } from './remote-flags.ts';
import { UnderstudyProvider } from './openfeature-provider.ts';
import { UnderstudyWebProvider } from './openfeature-web-provider.ts';
export const a: Provider = new UnderstudyProvider(openFlags({url:'',key:''}));
export const b: PageProvider = new UnderstudyWebProvider(openRemoteFlags({url:'',key:'',context:''}));
