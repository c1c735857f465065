/** The wire protocols that model servers speak. */
import { z } from 'zod';

export const UpstreamProtocolSchema = z.enum(['predict', 'open-inference', 'tensorflow', 'mlflow']);
