/// How values become the bytes that Redis holds, and back.
public struct ValueCoding<Value>: Sendable {
  /// The bytes of a value.
  public var encode: @Sendable (Value) throws -> [UInt8]
  /// The value of bytes that `encode` made, perhaps in another release of the application.
  public var decode: @Sendable ([UInt8]) throws -> Value

  /// A coding of these two functions.
  public init(
    encode: @escaping @Sendable (Value) throws -> [UInt8],
    decode: @escaping @Sendable ([UInt8]) throws -> Value
  ) {
    self.encode = encode
    self.decode = decode
  }
}

extension ValueCoding<[UInt8]> {
  /// The bytes themselves.
  public static var bytes: ValueCoding { ValueCoding(encode: { $0 }, decode: { $0 }) }
}

extension ValueCoding<String> {
  /// UTF-8.
  public static var utf8: ValueCoding {
    ValueCoding(encode: { Array($0.utf8) }, decode: { String(decoding: $0, as: UTF8.self) })
  }
}
