/* SPDX-License-Identifier: Apache-2.0
 *
 * mail-attachment.h - has a mail an attachment? As mail_attachment_detection_options=add-flags asks
 * when a mail is saved: the answer is the keyword $HasAttachment or $HasNoAttachment.
 *
 * Purpose    Looks at the MIME parts of a text. A part is an attachment if its Content-Disposition
 *            says so, or if it is neither text nor multipart.
 * Limits     Multiparts 16 deep, headers of 2000 bytes; what is beyond is text.
 * Effects    Pure.
 */
#ifndef LAB_OBOX_MAIL_ATTACHMENT_H
#define LAB_OBOX_MAIL_ATTACHMENT_H

#include "core/base/base.h"

bool mail_has_attachment(struct lab_view mail);

#endif
