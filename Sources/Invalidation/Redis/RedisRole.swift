/// What `role` in INFO means for cdcd.
package enum RedisRole {
  /// The word of Redis, and of Valkey, for a replica.
  package static let replica = "slave"
  /// What the daemon and `cdcd check` say of one.
  package static let replicaProblem = "it is a replica, and cdcd has to write to the primary"
  package static let replicaRemedy = "mend redis.url"
}
