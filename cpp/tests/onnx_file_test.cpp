#include "onnx_file/graph.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "support.hpp"

using namespace digitvae;
using namespace digitvae::testing;

namespace {

// A length-delimited field of Protocol Buffers, shorter than 128 bytes.
std::string field(int number, const std::string& bytes) {
  REQUIRE(bytes.size() < 128);
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + bytes;
}

std::string number_field(int number, int value) {
  return std::string(1, static_cast<char>(number << 3)) + static_cast<char>(value);
}

std::string node(const std::string& op_type, const std::vector<std::string>& inputs, const std::string& output,
                 const std::string& rest = "") {
  std::string message;
  for (const std::string& input : inputs) message += field(1, input);
  return message + field(2, output) + field(4, op_type) + rest;
}

// An attribute with an integer (field 3), or a string (field 4).
std::string attribute(const std::string& name, int value) { return field(5, field(1, name) + number_field(3, value)); }
std::string attribute(const std::string& name, const std::string& text) {
  return field(5, field(1, name) + field(4, text));
}

std::string model_of(const std::vector<std::string>& nodes, const std::string& initializers = "") {
  std::string graph;
  for (const std::string& message : nodes)
    graph += '\x0a' + std::string(1, static_cast<char>(message.size())) + message;
  graph += initializers;
  // Longer than 127 bytes: a length in two.
  const std::string length = {static_cast<char>((graph.size() & 0x7F) | 0x80), static_cast<char>(graph.size() >> 7)};
  return '\x3a' + length + graph;
}

std::string formula(const std::string& model, const std::string& value) {
  const auto read = onnx_file::Model::read(model.data(), model.size());
  REQUIRE(read.has_value());
  return read->graph().formula(value);
}

}  // namespace

TEST_CASE("the formula of a decoder is its network") {
  const std::string model = read_model("decoder.onnx");
  CHECK(formula(model, "x") ==
        "Sigmoid(Gemm[alpha=1065353216,beta=1065353216,transA=0,transB=1]("
        "Relu(Gemm[alpha=1065353216,beta=1065353216,transA=0,transB=1](z,hidden.weight,hidden.bias)),"
        "output.weight,output.bias))");
  CHECK(formula(model, "z") == "z");
  CHECK(formula(model, "hidden.bias") == "hidden.bias");
}

TEST_CASE("numbers stand in a formula as such, other initializers by name") {
  const std::string eight = '\x05' + std::string(7, '\0');
  const auto initializer = [&](const std::string& name, const std::string& dims, int type) {
    return field(5, dims + number_field(2, type) + field(8, name) + field(9, eight));
  };
  const std::string model = model_of({node("Reshape", {"a", "scalar"}, "b", attribute("allowzero", 0)),
                                      node("Add", {"b", "row"}, "c"), node("Add", {"c", "floats"}, "d")},
                                     initializer("scalar", "", 7) + initializer("row", number_field(1, 1), 7) +
                                         initializer("floats", number_field(1, 2), 1));
  CHECK(formula(model, "d") == "Add(Add(Reshape[allowzero=0](a,5),[5]),floats)");
}

TEST_CASE("what a formula cannot say makes it one that is equal to none that is expected") {
  CHECK(formula(model_of({node("Einsum", {"a", "b"}, "c", attribute("equation", "ij,jk"))}), "c") ==
        "?[equation=0](a,b)");
  CHECK(formula(model_of({node("Add", {"a", "b"}, "c", field(7, "somebody"))}), "c") == "?(a,b)");
  CHECK(formula(model_of({node("Split", {"a"}, "c", field(2, "d"))}), "d") == "?(a)");
  // Names that could pass for a number, or for a part of a formula.
  for (const std::string name : {"0", "[1]", "Neg(b)", ""}) {
    CHECK(formula(model_of({node("Add", {"a", name}, "c")}), "c") == "Add(a,?)");
    const std::string initializer = field(5, number_field(1, 2) + number_field(2, 7) + field(8, name));
    CHECK(formula(model_of({node("Add", {"a", name}, "c")}, initializer), "c") == "Add(a,?)");
  }
  // A value that is made of itself, and one whose text would double with every node.
  CHECK(formula(model_of({node("Neg", {"c"}, "c")}), "c").find('?') != std::string::npos);
  std::vector<std::string> doubling;
  for (char name = 'a'; name < 'z'; ++name) {
    doubling.push_back(
        node("Add", {std::string(1, name), std::string(1, name)}, std::string(1, static_cast<char>(name + 1))));
  }
  const std::string text = formula(model_of(doubling), "z");
  CHECK(text.find('?') != std::string::npos);
  CHECK(text.size() < 10'000);
}

TEST_CASE("what is not a model, or is cut short, is not read") {
  CHECK_FALSE(onnx_file::Model::read("no model", 8).has_value());
  const std::string model = read_test_prior();
  for (std::size_t size = 1; size < model.size(); size += 7) {
    const std::string cut = model.substr(0, size);  // of its own, so that reading beyond it is seen
    const auto read = onnx_file::Model::read(cut.data(), cut.size());
    if (read) CHECK(read->graph().formula("z").size() < 10'000);
  }
}
