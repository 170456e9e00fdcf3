#include "grid.hpp"

namespace pocketrec {

Grid::Grid(const pr_request& request, const std::vector<Field>& fields, const std::vector<Addressing>& prepared)
    : request_(request), fields_(fields), prepared_(prepared) {
    if (!gather().row_addresses || !all_are_rows()) return;
    const size_t count = fields.size();
    rules_.resize(6 * count);
    for (size_t f = 0; f < count; ++f) {
        const Field& field = fields[f];
        const int64_t fold = field.a < 0 ? -1 : field.start + field.a, has_padding = field.padding == -1 ? 0 : -1;
        const int64_t numbers[] = {field.start, field.size, fold, field.padding, has_padding, field.last};
        for (size_t number = 0; number < 6; ++number) rules_[number * count + f] = numbers[number];
    }
}

// Whether the fields are of kind row and read columns side by side.
bool Grid::all_are_rows() const {
    int64_t column = fields_[0].column;
    for (const Field& field : fields_)
        if (field.kind != PR_ROW || field.column != column++) return false;
    return request_.parts == 1;
}

RowRules Grid::rules() const {
    const auto of = [this](size_t number) { return rules_.data() + number * fields_.size(); };
    return {static_cast<int64_t>(fields_.size()), of(0), of(1), of(2), of(3), of(4), of(5)};
}

void Grid::find(int64_t first, int64_t count, int64_t* out) const {
    const int64_t columns = request_.columns, parts = request_.parts, width = request_.fields * parts;
    const int64_t* ids = request_.ids + first * columns;
    if (!rules_.empty() && gather().row_addresses(rules(), ids + fields_[0].column, columns, count, out) == count) return;
    for (const Addressing& field : prepared_) {
        if (find_addresses(field, request_, {ids + field.field.column, columns, count}, out, width) < count)
            refuse_first_outside(request_, fields_);
        out += parts;
    }
}

}  // namespace pocketrec
