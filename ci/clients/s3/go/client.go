// SPDX-License-Identifier: Apache-2.0

// The Go SDK, version 2.
package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

const part = 5 << 20

var (
	ctx    = context.Background()
	bucket = aws.String(os.Getenv("S3_BUCKET"))
	client = connect("S3_KEY", os.Getenv("S3_SECRET"), "")
	failed = false
	odd    = []string{"with space", "plus+plus", "percent%41", "slash%2Fencoded", "umlaut-ü/ж/漢/😀",
		".hidden", "amp&lt<gt>quot\"apos'", "question?x=y", "hash#frag", "double//slash",
		"/leading-slash", "dots/../up", "dots/./here", "trailing/", "..", "../out", "tab\there",
		strings.Repeat("k", 1024)}
)

func connect(key, secret, token string, more ...func(*s3.Options)) *s3.Client {
	more = append([]func(*s3.Options){func(o *s3.Options) {
		o.BaseEndpoint = aws.String(os.Getenv("S3_ENDPOINT"))
		o.Region = os.Getenv("S3_REGION")
		o.UsePathStyle = true
		o.RetryMaxAttempts = 2
		if os.Getenv(key) != "" {
			key = os.Getenv(key)
		}
		o.Credentials = credentials.NewStaticCredentialsProvider(key, secret, token)
	}}, more...)
	return s3.New(s3.Options{}, more...)
}

func data(size int, salt int) []byte {
	var out []byte
	for block := 0; len(out) < size; block++ {
		sum := sha256.Sum256([]byte(fmt.Sprintf("%d:%d", salt, block)))
		out = append(out, bytes.Repeat(sum[:], 32)...)
	}
	return out[:size]
}

func etag(body []byte) string {
	sum := md5.Sum(body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func same(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		text := fmt.Sprintf("%s: %v instead of %v", what, got, want)
		panic(errors.New(text[:min(len(text), 300)]))
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func refused[T any](code string, _ T, err error) {
	var api smithy.APIError
	if err == nil {
		panic(errors.New(code + " expected, but it was accepted"))
	}
	if !errors.As(err, &api) {
		panic(err)
	}
	same("code", api.ErrorCode(), code)
}

func check(name string, run func()) {
	defer func() {
		if problem := recover(); problem != nil {
			failed = true
			fmt.Printf("FAIL\t%s\t%s\n", name, strings.Join(strings.Fields(fmt.Sprint(problem)), " "))
			return
		}
		fmt.Printf("ok\t%s\t\n", name)
	}()
	run()
}

func put(key string, body io.Reader) (*s3.PutObjectOutput, error) {
	return client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: body})
}

func get(key string) []byte {
	answer := must(client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key}))
	defer answer.Body.Close()
	return must(io.ReadAll(answer.Body))
}

func list(prefix string, size int32) []string {
	var keys []string
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: &prefix,
		MaxKeys: &size})
	for pages.HasMorePages() {
		for _, item := range must(pages.NextPage(ctx)).Contents {
			keys = append(keys, *item.Key)
		}
	}
	return keys
}

func remove(keys []string) (*s3.DeleteObjectsOutput, error) {
	var objects []types.ObjectIdentifier
	for _, key := range keys {
		objects = append(objects, types.ObjectIdentifier{Key: aws.String(key)})
	}
	return client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket,
		Delete: &types.Delete{Objects: objects}})
}

func buckets() {
	made := aws.String(*bucket + "-made")
	must(client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: made}))
	must(client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: made}))
	must(client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: made}))
	answer, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: made})
	refused("NoSuchBucket", answer, err)
}

// A reader that cannot seek: with TLS the SDK sends it in chunks with a trailer.
type stream struct{ io.Reader }

func upAndDown(size int) {
	body := data(size, 0)
	same("ETag", *must(put("size", bytes.NewReader(body))).ETag, etag(body))
	same("body", bytes.Equal(get("size"), body), true)
	if strings.HasPrefix(os.Getenv("S3_ENDPOINT"), "https:") {
		must(client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("size"),
			Body: stream{bytes.NewReader(body)}, ContentLength: aws.Int64(int64(size))}))
		same("body of a stream", bytes.Equal(get("size"), body), true)
	}
}

func ranges() {
	body := data(1000, 0)
	must(put("range", bytes.NewReader(body)))
	in := s3.GetObjectInput{Bucket: bucket, Key: aws.String("range"), Range: aws.String("bytes=10-19")}
	answer := must(client.GetObject(ctx, &in))
	same("10-19", must(io.ReadAll(answer.Body)), body[10:20])
	same("Content-Range", *answer.ContentRange, "bytes 10-19/1000")
	in.Range = aws.String("bytes=1000-")
	answer, err := client.GetObject(ctx, &in)
	refused("InvalidRange", answer, err)
}

func metadata() {
	pairs := map[string]string{"dovecot-fname": "a b+c%d"}
	must(client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("meta"),
		Body: strings.NewReader("body"), Metadata: pairs, ContentType: aws.String("message/rfc822")}))
	head := must(client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("meta")}))
	same("metadata", head.Metadata, pairs)
	same("Content-Type", *head.ContentType, "message/rfc822")
	same("Content-Length", *head.ContentLength, int64(4))
}

func listing() {
	var keys []string
	for i := range 25 {
		keys = append(keys, fmt.Sprintf("list/%02d", i))
		must(put(keys[i], strings.NewReader("x")))
	}
	same("keys", list("list/", 7), keys)
}

func oddNames() {
	must(remove(append(list("", 1000), "none")))
	for _, key := range odd {
		must(put(key, strings.NewReader(key)))
	}
	sorted := append([]string{}, odd...)
	sort.Strings(sorted)
	same("listed", list("", 5), sorted)
	for _, key := range odd {
		same("body of "+key, string(get(key)), key)
	}
	same("deleted", len(must(remove(odd)).Deleted), len(odd))
	same("left", len(list("", 5)), 0)
}

func copies() {
	body := data(4096, 1)
	must(put("from", bytes.NewReader(body)))
	in := s3.CopyObjectInput{Bucket: bucket, Key: aws.String("to"), CopySource: aws.String(*bucket + "/from")}
	same("ETag", *must(client.CopyObject(ctx, &in)).CopyObjectResult.ETag, etag(body))
	same("body", get("to"), body)
	in.CopySource = aws.String(*bucket + "/missing")
	answer, err := client.CopyObject(ctx, &in)
	refused("NoSuchKey", answer, err)
}

func conditions() {
	must(put("cond", strings.NewReader("one")))
	answer, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("cond"),
		Body: strings.NewReader("two"), IfNoneMatch: aws.String("*")})
	refused("PreconditionFailed", answer, err)
	same("unchanged", string(get("cond")), "one")
}

func multipart() {
	body := data(part+1000, 2)
	key := aws.String("multi")
	id := must(client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})).UploadId
	var parts []types.CompletedPart
	for number, piece := range [][]byte{body[:part], body[part:]} {
		answer := must(client.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: id,
			PartNumber: aws.Int32(int32(number + 1)), Body: bytes.NewReader(piece)}))
		parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(number + 1)),
			ETag: answer.ETag, ChecksumCRC32: answer.ChecksumCRC32})
	}
	listed := must(client.ListParts(ctx, &s3.ListPartsInput{Bucket: bucket, Key: key, UploadId: id}))
	same("parts", len(listed.Parts), 2)
	must(client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: key,
		UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}))
	same("body", bytes.Equal(get("multi"), body), true)
}

func abort() {
	key := aws.String("cut")
	id := must(client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})).UploadId
	must(client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: bucket, Key: key, UploadId: id}))
	answer, err := client.ListParts(ctx, &s3.ListPartsInput{Bucket: bucket, Key: key, UploadId: id})
	refused("NoSuchUpload", answer, err)
}

func managed() {
	body := data(17<<20, 4)
	must(manager.NewUploader(client).Upload(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("managed"),
		Body: stream{bytes.NewReader(body)}}))
	same("body", bytes.Equal(get("managed"), body), true)
}

func checksums() {
	for _, algorithm := range []types.ChecksumAlgorithm{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		must(client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("sum"),
			Body: strings.NewReader("123456789"), ChecksumAlgorithm: algorithm}))
		same(string(algorithm), string(get("sum")), "123456789")
	}
}

func bulkDelete() {
	var keys []string
	for i := range 1000 {
		keys = append(keys, fmt.Sprintf("bulk/%04d", i))
		must(put(keys[i], strings.NewReader("")))
	}
	answer, err := remove(append(append([]string{}, keys...), "one-too-many"))
	refused("MalformedXML", answer, err)
	same("all there", len(list("bulk/", 1000)), 1000)
	same("deleted", len(must(remove(keys)).Deleted), 1000)
	same("none left", len(list("bulk/", 1000)), 0)
}

func presigned() {
	body := data(4096, 5)
	key := aws.String("presigned +%41 ü")
	signer := s3.NewPresignClient(client)
	request := must(signer.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key}))
	plain := must(http.NewRequest("PUT", request.URL, bytes.NewReader(body)))
	same("PUT", must(http.DefaultClient.Do(plain)).StatusCode, 200)
	request = must(signer.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key}))
	answer := must(http.Get(request.URL))
	same("body", must(io.ReadAll(answer.Body)), body)
}

func denied(code string, other *s3.Client) {
	answer, err := other.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
	refused(code, answer, err)
}

// A signer whose clock is off.
type skewed struct{ minutes time.Duration }

func (s skewed) SignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, hash, service,
	region string, at time.Time, options ...func(*v4.SignerOptions)) error {
	options = append(options, func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	return v4.NewSigner().SignHTTP(ctx, c, r, hash, service, region, at.Add(s.minutes*time.Minute), options...)
}

func main() {
	check("buckets", buckets)
	for name, size := range map[string]int{"0 B": 0, "1 B": 1, "4 KiB": 4096, "6 MiB": 6 << 20} {
		check("upload and download "+name, func() { upAndDown(size) })
	}
	check("range", ranges)
	check("metadata", metadata)
	check("list", listing)
	check("odd names", oddNames)
	check("copy", copies)
	check("conditions", conditions)
	check("multipart", multipart)
	check("multipart abort", abort)
	check("managed transfer", managed)
	check("checksums", checksums)
	check("bulk delete", bulkDelete)
	check("presigned", presigned)
	check("wrong secret", func() { denied("SignatureDoesNotMatch", connect("S3_KEY", "wrong", "")) })
	check("unknown key", func() { denied("InvalidAccessKeyId", connect("AKIANOBODYKNOWSTHIS0", "x", "")) })
	check("expired token", func() {
		denied("ExpiredToken", connect("S3_EXPIRED_KEY", os.Getenv("S3_EXPIRED_SECRET"), os.Getenv("S3_EXPIRED_TOKEN")))
	})
	check("clock skew", func() {
		off := func(o *s3.Options) { o.HTTPSignerV4 = skewed{-20} }
		denied("RequestTimeTooSkewed", connect("S3_KEY", os.Getenv("S3_SECRET"), "", off))
	})
	if failed {
		os.Exit(1)
	}
}
