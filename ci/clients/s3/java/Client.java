// SPDX-License-Identifier: Apache-2.0

import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/** The Java SDK, version 2. */
public class Client {
	static final int PART = 5 << 20;
	static final String BUCKET = System.getenv("S3_BUCKET");
	static final AwsCredentials OURS =
		AwsBasicCredentials.create(System.getenv("S3_KEY"), System.getenv("S3_SECRET"));
	static final S3Client client = connect(OURS);
	static final List<String> ODD = List.of("with space", "plus+plus", "percent%41", "slash%2Fencoded",
		"umlaut-\u00fc/\u0436/\u6f22/\ud83d\ude00", ".hidden", "amp&lt<gt>quot\"apos'", "question?x=y",
		"hash#frag", "double//slash", "/leading-slash", "trailing/", "tab\there", "k".repeat(1024));
	static boolean failed = false;

	interface Check {
		void run() throws Exception;
	}

	static S3Client connect(AwsCredentials credentials) {
		return S3Client.builder().endpointOverride(URI.create(System.getenv("S3_ENDPOINT")))
			.region(Region.of(System.getenv("S3_REGION"))).forcePathStyle(true)
			.credentialsProvider(StaticCredentialsProvider.create(credentials)).build();
	}

	static byte[] data(int size, int salt) throws Exception {
		byte[] out = new byte[size];
		for (int at = 0, block = 0; at < size; at += 1024, block++) {
			byte[] sum = MessageDigest.getInstance("SHA-256")
				.digest((salt + ":" + block).getBytes(StandardCharsets.UTF_8));
			for (int i = 0; i < 1024 && at + i < size; i++)
				out[at + i] = sum[i % 32];
		}
		return out;
	}

	static String etag(byte[] body) throws Exception {
		return '"' + HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(body)) + '"';
	}

	static void same(String what, Object got, Object wanted) {
		boolean equal = got instanceof byte[] a && wanted instanceof byte[] b ? Arrays.equals(a, b)
			: Objects.equals(got, wanted);
		if (!equal)
			throw new IllegalStateException(what + ": " + got + " instead of " + wanted);
	}

	static void refused(String code, Check request) throws Exception {
		try {
			request.run();
		} catch (AwsServiceException problem) {
			same("code", problem.awsErrorDetails().errorCode(), code);
			return;
		}
		throw new IllegalStateException(code + " expected, but it was accepted");
	}

	static void check(String name, Check run) {
		try {
			run.run();
			System.out.println("ok\t" + name + "\t");
		} catch (Exception problem) {
			String text = String.valueOf(problem).replaceAll("\\s+", " ");
			failed = true;
			System.out.println("FAIL\t" + name + "\t" + text.substring(0, Math.min(300, text.length())));
		}
	}

	static String put(String key, byte[] body) {
		return client.putObject(r -> r.bucket(BUCKET).key(key), RequestBody.fromBytes(body)).eTag();
	}

	static byte[] get(String key) {
		return client.getObjectAsBytes(r -> r.bucket(BUCKET).key(key)).asByteArray();
	}

	static List<String> list(String prefix, int size) {
		return client.listObjectsV2Paginator(r -> r.bucket(BUCKET).prefix(prefix).maxKeys(size)).contents()
			.stream().map(S3Object::key).collect(Collectors.toList());
	}

	static int remove(List<String> keys) {
		List<ObjectIdentifier> objects =
			keys.stream().map(key -> ObjectIdentifier.builder().key(key).build()).toList();
		return client.deleteObjects(r -> r.bucket(BUCKET).delete(d -> d.objects(objects))).deleted().size();
	}

	static void buckets() throws Exception {
		String made = BUCKET + "-made";
		client.createBucket(r -> r.bucket(made));
		client.headBucket(r -> r.bucket(made));
		client.deleteBucket(r -> r.bucket(made));
		refused("NoSuchBucket", () -> client.listObjectsV2(r -> r.bucket(made)));
	}

	static void upAndDown(int size) throws Exception {
		byte[] body = data(size, 0);
		same("ETag", put("size", body), etag(body));
		same("body", get("size"), body);
		client.putObject(r -> r.bucket(BUCKET).key("stream"),
			RequestBody.fromInputStream(new ByteArrayInputStream(body), size));
		same("body of a stream", get("stream"), body);
	}

	static void range() throws Exception {
		byte[] body = data(1000, 0);
		put("range", body);
		byte[] part = client.getObjectAsBytes(r -> r.bucket(BUCKET).key("range").range("bytes=10-19")).asByteArray();
		same("10-19", part, Arrays.copyOfRange(body, 10, 20));
		refused("InvalidRange",
			() -> client.getObjectAsBytes(r -> r.bucket(BUCKET).key("range").range("bytes=1000-")));
	}

	static void metadata() {
		Map<String, String> pairs = Map.of("dovecot-fname", "a b+c%d");
		client.putObject(r -> r.bucket(BUCKET).key("meta").metadata(pairs).contentType("message/rfc822"),
			RequestBody.fromString("body"));
		var head = client.headObject(r -> r.bucket(BUCKET).key("meta"));
		same("metadata", head.metadata(), pairs);
		same("Content-Type", head.contentType(), "message/rfc822");
		same("Content-Length", head.contentLength(), 4L);
	}

	static void listing() throws Exception {
		List<String> keys = IntStream.range(0, 25).mapToObj(i -> String.format("list/%02d", i)).toList();
		for (String key : keys)
			put(key, data(1, 0));
		same("keys", list("list/", 7), keys);
	}

	static void oddNames() {
		List<String> before = list("", 1000);
		if (!before.isEmpty())
			remove(before);
		for (String key : ODD)
			put(key, key.getBytes(StandardCharsets.UTF_8));
		same("listed", list("", 5).size(), ODD.size());
		for (String key : ODD)
			same("body of " + key, get(key), key.getBytes(StandardCharsets.UTF_8));
		same("deleted", remove(ODD), ODD.size());
		same("left", list("", 5).size(), 0);
	}

	static void copies() throws Exception {
		byte[] body = data(4096, 1);
		put("from", body);
		String copied = client.copyObject(r -> r.sourceBucket(BUCKET).sourceKey("from").destinationBucket(BUCKET)
			.destinationKey("to")).copyObjectResult().eTag();
		same("ETag", copied, etag(body));
		same("body", get("to"), body);
		refused("NoSuchKey", () -> client.copyObject(r -> r.sourceBucket(BUCKET).sourceKey("missing")
			.destinationBucket(BUCKET).destinationKey("to")));
	}

	static void conditions() throws Exception {
		put("cond", data(3, 1));
		refused("PreconditionFailed", () -> client.putObject(
			r -> r.bucket(BUCKET).key("cond").ifNoneMatch("*"), RequestBody.fromString("two")));
		same("unchanged", get("cond"), data(3, 1));
	}

	static void multipart() throws Exception {
		byte[] body = data(PART + 1000, 2);
		String id = client.createMultipartUpload(r -> r.bucket(BUCKET).key("multi")).uploadId();
		List<CompletedPart> parts = new ArrayList<>();
		for (int number = 1; number <= 2; number++) {
			int n = number, from = (number - 1) * PART, to = Math.min(body.length, number * PART);
			var answer = client.uploadPart(r -> r.bucket(BUCKET).key("multi").uploadId(id).partNumber(n),
				RequestBody.fromBytes(Arrays.copyOfRange(body, from, to)));
			parts.add(CompletedPart.builder().partNumber(n).eTag(answer.eTag())
				.checksumCRC32(answer.checksumCRC32()).build());
		}
		same("parts", client.listParts(r -> r.bucket(BUCKET).key("multi").uploadId(id)).parts().size(), 2);
		client.completeMultipartUpload(
			r -> r.bucket(BUCKET).key("multi").uploadId(id).multipartUpload(m -> m.parts(parts)));
		same("body", get("multi"), body);
	}

	static void abort() throws Exception {
		String id = client.createMultipartUpload(r -> r.bucket(BUCKET).key("cut")).uploadId();
		client.abortMultipartUpload(r -> r.bucket(BUCKET).key("cut").uploadId(id));
		refused("NoSuchUpload", () -> client.listParts(r -> r.bucket(BUCKET).key("cut").uploadId(id)));
	}

	static void checksums() {
		for (ChecksumAlgorithm algorithm : List.of(ChecksumAlgorithm.CRC32, ChecksumAlgorithm.CRC32_C,
				ChecksumAlgorithm.SHA1, ChecksumAlgorithm.SHA256)) {
			client.putObject(r -> r.bucket(BUCKET).key("sum").checksumAlgorithm(algorithm),
				RequestBody.fromString("123456789"));
			same(algorithm.toString(), new String(get("sum"), StandardCharsets.US_ASCII), "123456789");
		}
	}

	static void bulkDelete() throws Exception {
		List<String> keys = new ArrayList<>();
		for (int i = 0; i < 1000; i++) {
			keys.add(String.format("bulk/%04d", i));
			put(keys.get(i), new byte[0]);
		}
		List<String> tooMany = new ArrayList<>(keys);
		tooMany.add("one-too-many");
		refused("MalformedXML", () -> remove(tooMany));
		same("all there", list("bulk/", 1000).size(), 1000);
		same("deleted", remove(keys), 1000);
		same("none left", list("bulk/", 1000).size(), 0);
	}

	static void presigned() throws Exception {
		byte[] body = data(4096, 5);
		String key = "presigned +%41 \u00fc";
		HttpClient plain = HttpClient.newHttpClient();
		try (S3Presigner signer = S3Presigner.builder().endpointOverride(URI.create(System.getenv("S3_ENDPOINT")))
				.region(Region.of(System.getenv("S3_REGION")))
				.serviceConfiguration(S3Configuration.builder().pathStyleAccessEnabled(true).build())
				.credentialsProvider(StaticCredentialsProvider.create(OURS)).build()) {
			URI up = signer.presignPutObject(r -> r.signatureDuration(Duration.ofMinutes(5))
				.putObjectRequest(o -> o.bucket(BUCKET).key(key))).url().toURI();
			same("PUT", plain.send(HttpRequest.newBuilder(up).PUT(HttpRequest.BodyPublishers.ofByteArray(body)).build(),
				HttpResponse.BodyHandlers.discarding()).statusCode(), 200);
			URI down = signer.presignGetObject(r -> r.signatureDuration(Duration.ofMinutes(5))
				.getObjectRequest(o -> o.bucket(BUCKET).key(key))).url().toURI();
			same("body", plain.send(HttpRequest.newBuilder(down).build(), HttpResponse.BodyHandlers.ofByteArray())
				.body(), body);
		}
	}

	static void denied(String code, AwsCredentials credentials) throws Exception {
		try (S3Client other = connect(credentials)) {
			refused(code, () -> other.listObjectsV2(r -> r.bucket(BUCKET)));
		}
	}

	/** A signer whose clock is off. */
	static void skewed() throws Exception {
		Clock past = Clock.offset(Clock.systemUTC(), Duration.ofMinutes(-20));
		try (S3Client other = S3Client.builder().endpointOverride(URI.create(System.getenv("S3_ENDPOINT")))
				.region(Region.of(System.getenv("S3_REGION"))).forcePathStyle(true)
				.credentialsProvider(StaticCredentialsProvider.create(OURS))
				.overrideConfiguration(o -> o.retryStrategy(r -> r.maxAttempts(1)))
				.putAuthScheme(new Skewed(past)).build()) {
			refused("RequestTimeTooSkewed", () -> other.listObjectsV2(r -> r.bucket(BUCKET)));
		}
	}

	public static void main(String[] arguments) {
		check("buckets", Client::buckets);
		check("upload and download 0 B", () -> upAndDown(0));
		check("upload and download 1 B", () -> upAndDown(1));
		check("upload and download 4 KiB", () -> upAndDown(4096));
		check("upload and download 6 MiB", () -> upAndDown(6 << 20));
		check("range", Client::range);
		check("metadata", Client::metadata);
		check("list", Client::listing);
		check("odd names", Client::oddNames);
		check("copy", Client::copies);
		check("conditions", Client::conditions);
		check("multipart", Client::multipart);
		check("multipart abort", Client::abort);
		check("checksums", Client::checksums);
		check("bulk delete", Client::bulkDelete);
		check("presigned", Client::presigned);
		check("wrong secret", () -> denied("SignatureDoesNotMatch",
			AwsBasicCredentials.create(System.getenv("S3_KEY"), "wrong")));
		check("unknown key", () -> denied("InvalidAccessKeyId",
			AwsBasicCredentials.create("AKIANOBODYKNOWSTHIS0", "x")));
		check("expired token", () -> denied("ExpiredToken", AwsSessionCredentials.create(
			System.getenv("S3_EXPIRED_KEY"), System.getenv("S3_EXPIRED_SECRET"),
			System.getenv("S3_EXPIRED_TOKEN"))));
		check("clock skew", Client::skewed);
		System.exit(failed ? 1 : 0);
	}
}
