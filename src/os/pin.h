/*
 * pin.h - keeping the module's code in memory.
 */

#ifndef SL_PIN_H
#define SL_PIN_H

/* Lua unloads its modules when it is closed; after this, not ours. */
void sl_process_pin(void);

#endif
