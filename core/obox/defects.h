/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/defects.h" /* moved: below fs and http in the include direction */
