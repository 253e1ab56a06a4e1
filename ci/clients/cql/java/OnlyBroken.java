// SPDX-License-Identifier: Apache-2.0
package oboxlab;

import com.datastax.oss.driver.api.core.ConsistencyLevel;
import com.datastax.oss.driver.api.core.context.DriverContext;
import com.datastax.oss.driver.api.core.retry.RetryVerdict;
import com.datastax.oss.driver.api.core.session.Request;
import com.datastax.oss.driver.internal.core.retry.DefaultRetryPolicy;

/** Unavailable as it is; but a connection that its node has reset is no answer. */
public class OnlyBroken extends DefaultRetryPolicy {
	public OnlyBroken(DriverContext context, String profile) {
		super(context, profile);
	}

	@Override
	public RetryVerdict onUnavailableVerdict(Request request, ConsistencyLevel level, int required, int alive, int retries) {
		return RetryVerdict.RETHROW;
	}
}
