/// Why a Redis connection could not be made or broke: one sentence for people, without secrets.
package struct RedisFailure: Error, Sendable, Equatable {
  package var message: String

  package init(_ message: String) { self.message = message }
}
