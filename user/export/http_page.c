/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /: the page, user/export/page/index.html, as it was when this was built. Its policy lets in the one style and
 * the one script that it holds, and lets them ask nobody but us.
 */
#include "export/answer.h"
#include "page.h"

enum MHD_Result ebb_get_page(const struct ebb_request *request)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(sizeof(page), page, MHD_RESPMEM_PERSISTENT);

	if (!response)
		return MHD_NO;
	ebb_answer_header(response, "Content-Security-Policy",
			  "default-src 'none'; script-src '" EBB_PAGE_SCRIPT_HASH
			  "'; style-src '" EBB_PAGE_STYLE_HASH
			  "'; connect-src 'self'; img-src data:; base-uri 'none'; "
			  "form-action 'none'; frame-ancestors 'none'");
	ebb_answer_header(response, "Referrer-Policy", "no-referrer");
	return ebb_answer(request, MHD_HTTP_OK, response, "text/html; charset=utf-8");
}
