/** What to do when a store is damaged. Every message about damage ends with it. */
export const RESTORE_HINT = 'restore the newest backup (understudy store restore FILE --store ADDRESS) into an empty store';
