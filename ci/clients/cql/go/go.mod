// SPDX-License-Identifier: Apache-2.0
module oboxlab/clients/cql

go 1.21

require github.com/apache/cassandra-gocql-driver/v2 v2.1.2
