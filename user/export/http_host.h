/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name by which a client asks for us. A page of a stranger's site may bring a browser of this machine to ask for it, under a name of that
 * site which points here by now (DNS rebinding), and may read the answer, since for the browser it is of one site. Its name gives it away.
 */
#ifndef EBB_EXPORT_HTTP_HOST_H
#define EBB_EXPORT_HTTP_HOST_H

#include <stdbool.h>

/*
 * Is @host, as in the header, a name that no stranger can have: an address, a name without dots, below "localhost", or one
 * that begins with @own, this machine's name up to its first dot ("" or NULL: not known)? NULL: none was sent, so yes.
 */
bool ebb_http_host_is_ours(const char *host, const char *own);

#endif /* EBB_EXPORT_HTTP_HOST_H */
