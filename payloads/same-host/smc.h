/* SPDX-License-Identifier: GPL-2.0 */
/* SMC-D over the kernel's own loopback-ism: TCP's interface, the peer's buffer in shared memory. */
#ifndef SMC_H
#define SMC_H

#include <transports.h>

const char *lacks_smc(void);
bool connect_smc(struct end *a, struct end *b);

#endif
