/* SPDX-License-Identifier: GPL-2.0 */
/* Two connected TCP sockets, joined by a BPF program (join.bpf.o). */
#ifndef JOIN_H
#define JOIN_H

#include <transports.h>

bool connect_sockmap(struct end *a, struct end *b);

#endif
